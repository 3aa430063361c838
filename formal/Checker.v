(** The checker: from weights and hints to bounds of the number of right answers, and the theorem that they are such. *)
From Coq Require Import Reals ZArith List Arith Bool Lia Lra Uint63 Sint63.
From Bignums Require Import BigZ.
From Flocq Require Import Core.
From Interval Require Import Real.Xreal Interval.Interval Interval.Float.
From CompactProofs Require Import Statement Softmax Tables Exponentials Boxes Vectors Classes.
Import ListNotations.
Open Scope R_scope.

(** Any hints are sound; bad ones leave inputs undecided. *)
Record hints := Hints {
  fraction : Z;         (* what is written to logits is rounded to multiples of 2^-fraction *)
  unit : Z;             (* exponentials of scores, to multiples of 2^-unit *)
  precision : positive; (* bits of interval arithmetic *)
  of_classes : list (list (list nat * list tree))
    (* by last token, and by how much larger the largest is: outputs to look at closely, and trees for the boxes *) }.

Definition small : Z := (2 ^ 30)%Z.

Definition total_result (l : list result) : result := fold_right both none l.

Lemma total_result_le {A} (r : A -> result) g1 g2 l :
  (forall a, In a l -> fst (r a) <= g1 a /\ snd (r a) <= g2 a)%Z ->
  (fst (total_result (map r l)) <= sum_over l g1 /\ snd (total_result (map r l)) <= sum_over l g2)%Z.
Proof.
  induction l as [|a l IH]; intros H; simpl; [lia|].
  destruct (H a ltac:(simpl; auto)). destruct IH; [intros; apply H; simpl; auto|]. lia.
Qed.

Lemma along_total g p x o : along g p x o = total (length x) (fun i => g (p + i)%nat (nth i x O) o).
Proof.
  revert p. induction x as [|t x IH]; intros p; [reflexivity|]. simpl length. rewrite total_first. simpl along.
  rewrite IH. simpl nth. rewrite Nat.add_0_r. f_equal. apply total_ext; intros i _. f_equal. lia.
Qed.

Lemma floor_bounds z s : (0 <= s)%Z -> IZR (Z.shiftr z s) <= IZR z / IZR (2 ^ s) <= IZR (Z.shiftr z s) + 1.
Proof.
  intros Hs. assert (H2 : (0 < 2 ^ s)%Z) by (apply Z.pow_pos_nonneg; lia). rewrite Z.shiftr_div_pow2 by assumption.
  assert (H2r : 0 < IZR (2 ^ s)) by (apply IZR_lt; assumption).
  pose proof (Z.mul_div_le z (2 ^ s) H2) as H3. pose proof (Z.mul_succ_div_gt z (2 ^ s) H2) as H4.
  split; apply (Rmult_le_reg_r (IZR (2 ^ s))); try assumption; unfold Rdiv; rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  - rewrite <- mult_IZR. apply IZR_le. lia.
  - rewrite <- plus_IZR, <- mult_IZR. apply IZR_le. lia.
Qed.

Lemma largest_eq x m : (forall t, In t x -> (t <= m)%nat) -> In m x -> largest x = m.
Proof.
  intros Hle Hin. unfold largest. apply Nat.le_antisymm; [apply list_max_le, Forall_forall, Hle|].
  pose proof (proj1 (list_max_le x _) (Nat.le_refl _)) as H. rewrite Forall_forall in H. apply H, Hin.
Qed.

Section Run.
  Variables (M : model) (h : hints).
  Let v := tokens M.
  Let k := Nat.pred (positions M).

  Definition cut : Z := (4 * Z.of_nat (exponent M) - fraction h)%Z.
  Definition cell (A : matrix) (i j : nat) : big := nth j (nth i A []) BigZ.zero.
  Definition round (z : big) : Z := toZ (BigZ.shiftr z (BigZ.of_Z cut)).

  Section WithTables.
    Variable T : tables.
    Definition rounded_written (t o : nat) : Z := round (cell (written T) t o).
    Definition rounded_base (q p o : nat) : Z :=
      round (BigZ.add (BigZ.shiftl (cell (direct T) q o) (BigZ.of_Z (2 * Z.of_nat (exponent M)))) (cell (written_at T) p o)).

    Definition all_written : list (list Z) := map (fun t => map (rounded_written t) (seq 0 v)) (seq 0 v).
    Definition all_bases : list (list (list Z)) :=
      map (fun q => map (fun p => map (rounded_base q p) (seq 0 v)) (seq 0 (S k))) (seq 0 v).
    Definition is_small (z : Z) : bool := ((- small <=? z) && (z <=? small))%Z.
  End WithTables.

  (** One input that machine integers leave open, by intervals of 200 bits. *)
  Section Closely.
    Variable T : tables.
    Definition fine : F.precision := F.PtoP 200.
    Definition fine_term (q m o p t : nat) : I.type :=
      let difference A i := BigZ.sub (cell A i m) (cell A i o) in
      I.mul fine (exponential M fine (toZ (BigZ.add (cell (score_token T) q t) (cell (score_position T) q p))))
        (I.fromZ fine (toZ (BigZ.add (BigZ.shiftl (difference (direct T) q) (BigZ.of_Z (2 * Z.of_nat (exponent M))))
          (BigZ.add (difference (written T) t) (difference (written_at T) p))))).
    Fixpoint fine_margin (q m o p : nat) (x : list nat) : I.type :=
      match x with [] => I.fromZ fine 0 | t :: x => I.add fine (fine_term q m o p t) (fine_margin q m o (S p) x) end.
    Definition surely_positive (X : I.type) : bool := (0 <? fst (ends 300 X))%Z.
    Definition closely (q m : nat) (doubtful : list nat) (x : list nat) : option bool :=
      if forallb (fun o => surely_positive (fine_margin q m o 0 x)) doubtful then Some true
      else if existsb (fun o => surely_positive (I.neg (fine_margin q m o 0 x))) doubtful then Some false else None.
  End Closely.

  Definition less_than (m : nat) (e : list int) : list int :=
    let top := nth m e 0%uint63 in map (fun z => top - z)%uint63 e.

  (** Whether there is room for the model; its tables in machine integers; and one class, of last token q and largest m *)
  Definition room (eZ : list (list Z)) (bZ : list (list (list Z))) : bool :=
    forallb (forallb is_small) eZ && forallb (forallb (forallb is_small)) bZ.
  Definition fitting : bool := tidy M && (S k <=? most_positions)%nat && (0 <=? cut)%Z.
  Definition all_gaps (e : list (list int)) : list (list (list int)) := map (fun m => map (less_than m) e) (seq 0 v).
  Definition in_class_of (T : tables) (b : list (list (list int))) (gaps : list (list (list int)))
    (W : list (list (list (Z * Z)))) (safe : bool) (q m : nat) : result :=
    let hint := nth (m - q) (nth q (of_classes h) []) ([], []) in
    check v k q m (fst hint) safe (nth q b []) (nth m gaps []) (nth q W []) (closely T q m (fst hint)) (snd hint).

  Definition run : result :=
    if negb fitting then none else
    let T := tables_of M in
    let eZ := all_written T in
    let bZ := all_bases T in
    if negb (room eZ bZ) then none else
    let b := map (map (map of_Z)) bZ in
    let gaps := all_gaps (map (map of_Z) eZ) in
    let W := all_weights M T (F.PtoP (precision h)) (unit h) in
    total_result (map (fun q => total_result (map (in_class_of T b gaps W false q) (seq q (v - q)))) (seq 0 v)).

  (** * Soundness *)

  Lemma small_fits z : is_small z = true -> (- 2 ^ 30 <= z <= 2 ^ 30)%Z.
  Proof. unfold is_small. intros H. apply andb_true_iff in H as [H1 H2]. apply Z.leb_le in H1, H2. unfold small in *. lia. Qed.

  Lemma rounded_to_ints (g : nat -> Z) : forallb is_small (map g (seq 0 v)) = true ->
    Forall2 (fun o z => bounded (2 ^ 30) z /\ val z = g o) (seq 0 v) (map of_Z (map g (seq 0 v))).
  Proof.
    rewrite map_map, forallb_forall. intros H. apply Forall2_same. intros o Ho.
    specialize (H (g o) ltac:(apply in_map, Ho)). apply small_fits in H.
    assert (E : val (of_Z (g o)) = g o) by (apply val_of_Z; unfold fits; lia). unfold bounded. rewrite E. split; [assumption|reflexivity].
  Qed.

  Lemma surely_positive_is X r : contains (I.convert X) (Xreal r) -> surely_positive X = true -> 0 < r.
  Proof.
    unfold surely_positive. intros H E. apply Z.ltb_lt in E. destruct (ends_enclose 300 X r H ltac:(lia)) as [H1 _].
    apply IZR_lt in E. pose proof (bpow_gt_0 radix2 300) as Hb. apply (Rmult_lt_reg_r (bpow radix2 300)); lra.
  Qed.

  Lemma fine_margin_is q m o : (0 < head_width M)%nat -> forall x p,
    contains (I.convert (fine_margin (tables_of M) q m o p x)) (Xreal (along (fun p t o => part M q m p t o) p x o)).
  Proof.
    intros Hh. induction x as [|t x IH]; intros p; [apply I.fromZ_correct|]. cbn [fine_margin along].
    apply (I.add_correct fine _ _ (Xreal _) (Xreal _)); [|apply IH]. unfold fine_term, part. cbv zeta.
    match goal with |- contains (I.convert (I.mul _ (exponential _ _ ?z) (I.fromZ _ ?n))) _ =>
      replace (Xreal _) with (Xmul (Xreal (exp ((/ 2 ^ exponent M) ^ 4 * IZR z / R_sqrt.sqrt (INR (head_width M))))) (Xreal (IZR n)))
    end; [apply I.mul_correct; [apply exponential_encloses, Hh|apply I.fromZ_correct]|].
    match goal with |- Xmul (Xreal ?a) (Xreal ?b) = Xreal ?c => change (Xreal (a * b) = Xreal c) end. f_equal. f_equal.
    - unfold exponent_at, at_, vector_at, cell. rewrite BigZ.spec_add, plus_IZR. reflexivity.
    - rewrite !BigZ.spec_add, BigZ.spec_shiftl, !BigZ.spec_sub, BigZ.spec_of_Z.
      rewrite Z.shiftl_mul_pow2; [|lia].
      unfold wrote, at_, vector_at, cell. rewrite !plus_IZR, mult_IZR, !minus_IZR.
      replace (IZR (2 ^ (2 * Z.of_nat (exponent M)))) with ((2 ^ exponent M) ^ 2); [ring|].
      rewrite <- pow_mult. replace (2 * Z.of_nat (exponent M))%Z with (Z.of_nat (exponent M * 2)) by lia.
      rewrite <- pow_IZR. reflexivity.
  Qed.

  Lemma closely_right q m doubtful x c : (0 < head_width M)%nat -> closely (tables_of M) q m doubtful x = Some c ->
    forallb (fun o => if Rlt_dec 0 (along (fun p t o => part M q m p t o) 0 x o) then true else false) doubtful = c.
  Proof.
    intros Hh. unfold closely. destruct (forallb _ _) eqn:E1.
    - intros [= <-]. apply forallb_forall. intros o Ho. rewrite forallb_forall in E1.
      pose proof (surely_positive_is _ _ (fine_margin_is q m o Hh x O) (E1 o Ho)). destruct (Rlt_dec _ _); [reflexivity|contradiction].
    - destruct (existsb _ _) eqn:E2; [|discriminate]. intros [= <-]. apply existsb_exists in E2 as (o & Ho & E2).
      pose proof (I.neg_correct _ _ (fine_margin_is q m o Hh x O)) as Hn. pose proof (surely_positive_is _ _ Hn E2) as Hp.
      apply not_true_iff_false. rewrite forallb_forall. intros H. specialize (H o Ho). destruct (Rlt_dec _ _); [lra|discriminate].
  Qed.

  Lemma members_of_class q m b x : In b (with_largest k q m) -> (q <= m)%nat -> member x (b ++ [[q]]) ->
    length x = S k /\ nth k x O = q /\ largest x = m /\ forall t, In t x -> (t <= m)%nat.
  Proof.
    intros Hb Hq Hx. apply Forall2_app_inv_r in Hx as (y & z & Hy & Hz & ->).
    inversion_clear Hz as [|t ? r ? Ht Hr]. inversion_clear Hr. destruct Ht as [<-|[]].
    assert (HL : length y = k).
    { rewrite <- (Forall2_same_length _ _ _ Hy). apply (with_largest_length q m k b Hb). }
    assert (HM : (forall t, In t y -> (t <= m)%nat) /\ (In m y \/ m = q)).
    { unfold with_largest in Hb. destruct (Nat.eqb_spec m q) as [E|E].
      - destruct Hb as [<-|[]]. split; [|right; assumption]. clear - Hy. revert Hy. generalize k as c. induction y as [|t y IH]; intros c Hy; [intros t []|].
        destruct c as [|c]; inversion_clear Hy as [|? ? ? ? Ht H]. intros s [<-|Hs]; [|apply (IH c H s Hs)].
        change (In t (seq 0 (S m))) in Ht. apply in_seq in Ht. lia.
      - assert (HH : (forall t, In t y -> (t <= m)%nat) /\ In m y); [|split; [apply HH|left; apply HH]].
        clear - Hy Hb. revert b y Hy Hb. generalize k as c. induction c as [|c IH]; intros b y Hy Hb; [destruct Hb|].
        simpl in Hb. destruct Hb as [<-|Hb].
        + inversion_clear Hy as [|t ? y' ? Ht H]. destruct Ht as [<-|[]]. split; [|simpl; auto].
          intros s [<-|Hs]; [lia|]. rewrite map_repeat in H. unfold joined in H. cbn [fst snd] in H. clear - H Hs.
          revert y' H Hs. induction c as [|c IH]; intros y' H Hs; inversion H as [|t ? y'' ? Ht H']; subst; [destruct Hs|].
          destruct Hs as [<-|Hs]; [|apply (IH y'' H' Hs)]. apply in_app_or in Ht as [Ht|[<-|[]]]; [apply in_seq in Ht|]; lia.
        + apply in_map_iff in Hb as (b' & <- & Hb'). inversion_clear Hy as [|t ? y' ? Ht H].
          destruct (IH b' y' H Hb') as [H1 H2]. split; [|simpl; auto].
          intros s [<-|Hs]; [cbn [fst] in Ht; apply in_seq in Ht; lia|auto]. }
    destruct HM as [H1 H2].
    assert (HA : forall t, In t (y ++ [q]) -> (t <= m)%nat).
    { intros t Ht. apply in_app_or in Ht as [Ht|[<-|[]]]; auto. }
    repeat split.
    - rewrite app_length, HL. simpl. lia.
    - rewrite <- HL. rewrite app_nth2, Nat.sub_diag by lia. reflexivity.
    - apply largest_eq; [exact HA|]. apply in_or_app. destruct H2 as [H2| ->]; simpl; auto.
    - exact HA.
  Qed.

End Run.

Definition inputs_of (M : model) : Z := (Z.of_nat (tokens M) ^ Z.of_nat (positions M))%Z.

Lemma size_inputs (M : model) : size (repeat (seq 0 (tokens M)) (positions M)) = inputs_of M.
Proof.
  unfold inputs_of. induction (positions M) as [|c IH]; [reflexivity|]. rewrite Nat2Z.inj_succ, Z.pow_succ_r by lia.
  simpl. rewrite seq_length, IH. reflexivity.
Qed.

Lemma no_more_than_inputs (M : model) : (correct_count M <= inputs_of M)%Z.
Proof.
  unfold correct_count. rewrite count_inputs, <- size_inputs.
  pose proof (count_both (repeat (seq 0 (tokens M)) (positions M)) (rightb M)).
  pose proof (count_nonneg (repeat (seq 0 (tokens M)) (positions M)) (fun x => negb (rightb M x))). lia.
Qed.

Lemma positions_are (M : model) (h : hints) : fitting M h = true -> positions M = S (Nat.pred (positions M)).
Proof.
  unfold fitting. intros H. apply andb_true_iff in H as [H _]. apply andb_true_iff in H as [H _].
  destruct (tidy_parts M H) as (_ & Hn & _). lia.
Qed.

(** What is found of one class; where outputs are called safe, they must be. *)
Lemma class_sound (M : model) (h : hints) (safe : bool) (q m : nat) :
  let T := tables_of M in
  let k := Nat.pred (positions M) in
  let P := rightb M in
  let bs := with_largest k q m in
  fitting M h = true -> room (all_written M h T) (all_bases M h T) = true -> (q <= m < tokens M)%nat ->
  (safe = true -> forall b x o, In b bs -> member x (b ++ [[q]]) -> (o < tokens M)%nat ->
    logit M x o < logit M x m \/ o = m \/ In o (fst (nth (m - q) (nth q (of_classes h) []) ([], [])))) ->
  let r := in_class_of M h T (map (map (map of_Z)) (all_bases M h T)) (all_gaps M (map (map of_Z) (all_written M h T)))
    (all_weights M T (F.PtoP (precision h)) (unit h)) safe q m in
  (fst r <= sum_over bs (fun b => count (b ++ [[q]]) P) /\
   snd r <= sum_over bs (fun b => count (b ++ [[q]]) (fun x => negb (P x))))%Z.
Proof.
  intros T k P bs E1 E2 Hm Hlose. cbv zeta. unfold bs in *. clear bs. unfold fitting in E1. unfold room in E2.
  apply andb_true_iff in E1 as [E1 Hcut]. apply andb_true_iff in E1 as [Htidy Hn].
  apply Nat.leb_le in Hn. apply Z.leb_le in Hcut. apply andb_true_iff in E2 as [He Hb].
  rewrite forallb_forall in He, Hb.
  destruct (tidy_parts M Htidy) as (_ & Hpos & Hhead & _).
  fold k in Hn. assert (Hk : positions M = S k) by (unfold k; lia).
  set (v := tokens M) in *. assert (Hq : (0 <= q < 0 + v)%nat) by lia.
  set (eZ := rounded_written M h T). set (bZ := rounded_base M h T q).
  set (w := fun p t => exp (exponent_at M q t p) * bpow radix2 (unit h)).
  set (gap := fun p t o => (wrote M q t p m - wrote M q t p o) / IZR (2 ^ cut M h)).
  unfold in_class_of. cbv beta zeta. fold v k T.
  match goal with |- (fst (check v k q m ?d _ ?b ?g ?ws ?c ?t) <= _)%Z /\ _ =>
    set (doubtful := d) in *; set (base := b); set (gaps := g); set (weights := ws); set (looked := c); set (trees := t) end.
  assert (Hb_are : forall p, (p <= k)%nat ->
    Forall2 (fun o z => bounded (2 ^ 30) z /\ val z = bZ p o) (seq 0 v) (nth p base [])).
  { intros p Hp.
    assert (Eb : nth p base [] = map of_Z (map (rounded_base M h T q p) (seq 0 v))).
    { unfold base, all_bases. fold v k. rewrite map_map, nth_map_seq, nth_map_in with (a := []) by (rewrite ?map_length, ?seq_length; lia).
      rewrite nth_map_seq by lia. reflexivity. }
    rewrite Eb. apply rounded_to_ints.
    assert (Hbq : forallb (forallb is_small) (map (fun p => map (rounded_base M h T q p) (seq 0 v)) (seq 0 (S k))) = true).
    { apply Hb. unfold all_bases. fold v k. apply in_map_iff. exists q. split; [reflexivity|]. apply in_seq; lia. }
    rewrite forallb_forall in Hbq. apply Hbq. apply in_map_iff. exists p. split; [reflexivity|]. apply in_seq; lia. }
  assert (Hg_are : forall t, (t <= m)%nat ->
    Forall2 (fun o z => bounded (2 ^ 31) z /\ val z = (eZ t m - eZ t o)%Z) (seq 0 v) (nth t gaps [])).
  { intros t Ht.
    assert (Eg : nth t gaps [] = less_than m (map of_Z (map (rounded_written M h T t) (seq 0 v)))).
    { unfold gaps, all_gaps, all_written. fold v. rewrite nth_map_seq by lia.
      rewrite !(nth_map_in _ _ t []) by (rewrite ?map_length, seq_length; lia). rewrite nth_map_seq by lia. reflexivity. }
    rewrite Eg.
    pose proof (rounded_to_ints M (rounded_written M h T t)) as Hr. fold v in Hr. specialize (Hr (He _ ltac:(
      unfold all_written; fold v; apply in_map_iff; exists t; split; [reflexivity|]; apply in_seq; lia))).
    pose proof (Forall2_pick _ v [m] _ ltac:(intros o [<-|[]]; lia) Hr) as Htop. inversion_clear Htop as [|? ? ? ? Ht' _].
    unfold less_than. revert Hr. apply Forall2_map. intros o z _ [Bz Ez].
    destruct Ht' as [Bt Et]. set (top := nth m (map of_Z _) _) in *.
    assert (E : val (top - z)%uint63 = (val top - val z)%Z) by (apply val_sub; unfold bounded, fits in *; lia).
    unfold bounded in *. rewrite E. unfold eZ. lia. }
  assert (Hw_are : forall p t, (p <= k)%nat -> (t <= m)%nat -> let b := nth t (nth p weights []) (-1, -1)%Z in
    (0 <= fst b)%Z -> IZR (fst b) <= w p t <= IZR (snd b)).
  { intros p t Hp Ht. unfold weights, w, exponent_at. fold T.
    apply (weights_enclose M T (F.PtoP (precision h)) (unit h) Hhead q p t); fold v; lia. }
  assert (Hgap_is : forall p t o, (p <= k)%nat -> (t <= m)%nat -> (o < v)%nat ->
    IZR (bZ p m - bZ p o + (eZ t m - eZ t o) - 2) <= gap p t o <= IZR (bZ p m - bZ p o + (eZ t m - eZ t o) + 2)).
  { intros p t o Hp Ht Ho. unfold gap.
    assert (Hwrote : forall o, IZR (bZ p o) + IZR (eZ t o) <= wrote M q t p o / IZR (2 ^ cut M h) <= IZR (bZ p o) + IZR (eZ t o) + 2).
    { intros o'. unfold wrote, bZ, eZ, rounded_base, rounded_written, round. fold T.
      rewrite !BigZ.spec_shiftr, BigZ.spec_add, BigZ.spec_shiftl, !BigZ.spec_of_Z.
      pose proof (floor_bounds (Z.shiftl (toZ (cell (direct T) q o')) (2 * Z.of_nat (exponent M)) + toZ (cell (written_at T) p o')) _ Hcut) as F1.
      pose proof (floor_bounds (toZ (cell (written T) t o')) _ Hcut) as F2.
      rewrite Z.shiftl_mul_pow2 in F1 |- * by lia. rewrite plus_IZR, mult_IZR in F1.
      replace (IZR (2 ^ (2 * Z.of_nat (exponent M)))) with ((2 ^ exponent M) ^ 2) in F1.
      - unfold at_, vector_at. unfold cell in F1, F2 |- *. unfold Rdiv in *. rewrite !Rmult_plus_distr_r in *. lra.
      - rewrite <- pow_mult. replace (2 * Z.of_nat (exponent M))%Z with (Z.of_nat (exponent M * 2)) by lia.
        rewrite <- pow_IZR. reflexivity. }
    pose proof (Hwrote m) as H1. pose proof (Hwrote o) as H2. unfold Rdiv in *. rewrite Rmult_minus_distr_r.
    rewrite minus_IZR, !plus_IZR, !minus_IZR. lra. }
  set (kappa := bpow radix2 (unit h) / IZR (2 ^ shift k m weights) / IZR (2 ^ cut M h)).
  assert (Hkappa : 0 < kappa).
  { unfold kappa. apply Rdiv_lt_0_compat; [apply Rdiv_lt_0_compat; [apply bpow_gt_0|]|apply pow2_positive; assumption].
    apply pow2_positive. unfold shift. lia. }
  assert (Hscale : forall x p o, along (f k m weights w gap) p x o = kappa * along (fun p t o => part M q m p t o) p x o).
  { induction x as [|t x IH]; intros p o; cbn [along]; [ring|]. rewrite IH. unfold f, w, gap, part, kappa, Rdiv. ring. }
  assert (Hlooked : forall x c, looked x = Some c ->
    forallb (fun o => if Rlt_dec 0 (along (f k m weights w gap) 0 x o) then true else false) doubtful = c).
  { intros x c Hc. rewrite <- (closely_right M q m doubtful x c Hhead Hc). clear - Hscale Hkappa.
    induction doubtful as [|o l IH]; [reflexivity|]. cbn [forallb]. rewrite IH, Hscale. f_equal.
    destruct (Rlt_dec 0 (kappa * _)) as [H|H], (Rlt_dec 0 (along _ 0 x o)) as [H'|H']; try reflexivity; exfalso.
    - apply H'. apply (Rmult_lt_reg_l kappa); [assumption|]. rewrite Rmult_0_r. exact H.
    - apply H, Rmult_lt_0_compat; assumption. }
  assert (Hwins : forall b x o, In b (with_largest k q m) -> member x (b ++ [[q]]) -> (o < v)%nat ->
    0 < along (f k m weights w gap) 0 x o <-> logit M x o < logit M x m).
  { intros b x o Hb' Hx Ho. destruct (members_of_class M q m b x Hb' ltac:(lia) Hx) as (L1 & L2 & _). fold k in L1, L2.
    pose proof (sign_exact M x Htidy) as Hsign. unfold last in Hsign. fold k in Hsign. rewrite L2 in Hsign.
    rewrite (Hsign ltac:(fold v; lia) m o) by (fold v; lia).
    rewrite Hscale, along_total, L1, <- Hk. set (s := total _ _). split; intros H.
    - apply (Rmult_lt_reg_l kappa); [assumption|]. rewrite Rmult_0_r. exact H.
    - apply Rmult_lt_0_compat; assumption. }
  assert (Hsafe : safe = true -> forall b x o, In b (with_largest k q m) -> member x (b ++ [[q]]) -> (o < v)%nat ->
    0 < along (f k m weights w gap) 0 x o \/ o = m \/ In o doubtful).
  { intros Hs b x o Hb' Hx Ho. rewrite (Hwins b x o Hb' Hx Ho). exact (Hlose Hs b x o Hb' Hx Ho). }
  pose proof (check_fair v k q m doubtful safe base gaps weights looked w gap Hn ltac:(lia) ltac:(lia) bZ eZ
    Hb_are Hg_are Hw_are Hgap_is Hlooked Hsafe trees) as [F1 F2].
  rewrite sum_over_map in F1, F2.
  assert (HP : forall b x, In b (with_largest k q m) -> member x (b ++ [[q]]) ->
    right_on_all v k m weights w gap x = P x).
  { intros b x Hb' Hx. destruct (members_of_class M q m b x Hb' ltac:(lia) Hx) as (_ & _ & L3 & _).
    unfold P, right_on_all, rightb. rewrite L3. fold v.
    assert (Hext : forall l, (forall o, In o l -> (o < v)%nat) ->
      forallb (fun o => (o =? m)%nat || margin_positive k m weights w gap x o) l =
      forallb (fun o => (o =? m)%nat || (if Rlt_dec (logit M x o) (logit M x m) then true else false)) l).
    { induction l as [|o l IH]; intros Hl; [reflexivity|]. simpl. rewrite IH by (intros; apply Hl; simpl; auto). f_equal. f_equal.
      pose proof (Hwins b x o Hb' Hx (Hl o ltac:(simpl; auto))) as [H1 H2]. unfold margin_positive.
      destruct (Rlt_dec _ _) as [H|H], (Rlt_dec _ _) as [H'|H']; try reflexivity; exfalso; auto. }
    apply Hext. intros o Ho. apply in_seq in Ho. lia. }
  split; (eapply Z.le_trans; [eassumption|]); apply Z.eq_le_incl, sum_over_ext; intros b Hb'; apply count_ext; intros x Hx.
  - apply (HP b); assumption.
  - f_equal. apply (HP b); assumption.
Qed.

Theorem run_sound (M : model) (h : hints) : (fst (run M h) <= correct_count M <= inputs_of M - snd (run M h))%Z.
Proof.
  unfold correct_count. rewrite count_inputs.
  set (P := rightb M). set (root := repeat (seq 0 (tokens M)) (positions M)).
  pose proof (size_inputs M : size root = inputs_of M) as Hsize.
  assert (Hfair : (fst (run M h) <= count root P /\ snd (run M h) <= count root (fun x => negb (P x)))%Z);
    [|pose proof (count_both root P); lia].
  unfold run. destruct (negb _) eqn:E1; [apply fair_none|]. apply negb_false_iff in E1. cbv zeta.
  destruct (negb _) eqn:E2 in |- *; [apply fair_none|]. apply negb_false_iff in E2.
  unfold root. rewrite (positions_are M h E1), !count_by_classes.
  apply total_result_le. intros q Hq. apply in_seq in Hq. apply total_result_le. intros m Hm. apply in_seq in Hm.
  apply class_sound; [assumption|assumption|lia|discriminate].
Qed.

(** * How a theorem about a model is stated *)

(** The claims are compared with what is decided, so hints that decide more than is claimed do no harm. *)
Definition decided (M : model) (h : hints) (right_ wrong : Z) : bool :=
  let r := run M h in (right_ <=? fst r)%Z && (wrong <=? snd r)%Z.

Theorem bounds_checked (M : model) (h : hints) (at_least at_most : Z) :
  decided M h at_least (inputs_of M - at_most) = true -> (at_least <= correct_count M <= at_most)%Z.
Proof.
  unfold decided. cbv zeta. intros H. apply andb_true_iff in H as [H1 H2]. apply Z.leb_le in H1, H2.
  pose proof (run_sound M h). lia.
Qed.

Theorem number_checked (M : model) (h : hints) (number : Z) :
  decided M h number (inputs_of M - number) = true -> correct_count M = number.
Proof. intros H. apply bounds_checked in H. lia. Qed.

Theorem at_least_checked (M : model) (h : hints) (number : Z) :
  decided M h number 0 = true -> (number <= correct_count M)%Z.
Proof.
  intros H. apply (bounds_checked M h number (inputs_of M)). rewrite Z.sub_diag. exact H.
Qed.

Theorem at_most_checked (M : model) (h : hints) (number : Z) :
  decided M h 0 (inputs_of M - number) = true -> (correct_count M <= number)%Z.
Proof. intros H. apply (bounds_checked M h 0 number H). Qed.

Definition shapeb (A : list (list Z)) (rows columns : nat) : bool :=
  (length A =? rows)%nat && forallb (fun row => (length row =? columns)%nat) A.

Lemma shapeb_shape A r c : shapeb A r c = true -> shape A r c.
Proof.
  unfold shapeb. rewrite andb_true_iff, forallb_forall. intros [H1 H2]. split; [apply Nat.eqb_eq, H1|].
  intros row Hrow. apply Nat.eqb_eq, H2, Hrow.
Qed.

Definition shapesb (M : model) : bool :=
  shapeb (W_E M) (tokens M) (width M) && shapeb (W_pos M) (positions M) (width M) &&
  shapeb (W_Q M) (width M) (head_width M) && shapeb (W_K M) (width M) (head_width M) &&
  shapeb (W_V M) (width M) (head_width M) && shapeb (W_O M) (head_width M) (width M) &&
  shapeb (W_U M) (width M) (tokens M).

Theorem shapes_checked (M : model) : shapesb M = true -> well_shaped M.
Proof. unfold shapesb. rewrite !andb_true_iff. unfold well_shaped. intuition auto using shapeb_shape. Qed.
