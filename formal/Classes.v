(** The check of one class of inputs, all with the same last token and the same largest token.

    For each position and token a vector bounds the terms of the margins, by output.  Summed up over a box they decide
    it: outputs that are named as doubtful by splitting the box along a tree, all others at once. *)
From Coq Require Import Reals ZArith List Arith Bool Lia Lra Uint63 Sint63.
From CompactProofs Require Import Statement Boxes Vectors.
Import ListNotations.
Open Scope R_scope.

Definition huge : int := Eval vm_compute in of_Z term_bound.
Definition minus_huge : int := Eval vm_compute in of_Z (- term_bound).

Definition pair_of_vectors := (nat * (list int * list int))%type. (* a token; bounds of its terms from below and above *)
Definition element := (list int * list pair_of_vectors)%type. (* least terms of several tokens, by output; and each *)

Definition shrink (k : Z) (w : Z * Z) : Z * Z := (Z.shiftr (fst w) k, - Z.shiftr (- snd w) k)%Z.
Definition sound_weight (w : Z * Z) : bool := ((0 <=? fst w) && (snd w <=? weight_bound))%Z.

Lemma first_largest_length m : forall k b, In b (first_largest (@app nat) (repeat (seq 0 m, [m]) k)) -> length b = k.
Proof.
  induction k as [|k IH]; simpl; [intros b []|]. intros b [<-|Hb].
  - simpl. rewrite map_length, repeat_length. reflexivity.
  - apply in_map_iff in Hb as (b' & <- & Hb'). simpl. rewrite (IH b' Hb'). reflexivity.
Qed.

Section Check.
  Variables (v k : nat). (* tokens; positions but the last *)
  Variables (q m : nat) (doubtful : list nat).
  Variable safe : bool. (* that all other outputs lose is known, and not looked at *)
  Variable base : list (list int).           (* position, output: direct path and position's writing *)
  Variable gaps : list (list int).           (* token, output: what the token writes for m, less what for the output *)
  Variable weights : list (list (Z * Z)).    (* position, token: bounds of exp score *)
  Variable closely : list nat -> option bool. (* one input, if machine integers do not decide it *)

  Definition in_class : list (list (Z * Z)) :=
    map (fun p => let row := nth p weights [] in map (fun t => nth t row (-1, -1)%Z) (seq 0 (S m))) (seq 0 (S k)).
  Definition shift : Z := Z.max 0 (Z.log2 (fold_right (fun l z => fold_right (fun w z => Z.max (snd w) z) z l) 1%Z in_class) - 25).

  Definition join (a b : element) : element := (zip imin (fst a) (fst b), snd a ++ snd b).
  Definition screen : list nat := if safe then [] else seq 0 v.
  Definition empty : element := (map (fun _ => huge) screen, []).

  (** At one position, from its weights and its base less and more the error of rounding *)
  Definition piece (ws : list (int * int)) (low high : list int) (t : nat) : element :=
    let (lo, hi) := nth t ws (0, 0)%uint63 in
    let gap := nth t gaps [] in
    let some := pick doubtful gap in
    (if safe then [] else row lo hi low gap, [(t, (row lo hi (pick doubtful low) some, row hi lo (pick doubtful high) some))]).
  Definition elements (ws : list (int * int)) (low high : list int) (ts : list nat) : element :=
    fold_right (fun t e => join (piece ws low high t) e) empty ts.

  Definition less_and_more (b : list int) : list int * list int :=
    let top := nth m b 0%uint63 in (map (fun z => top - 2 - z)%uint63 b, map (fun z => top + 2 - z)%uint63 b).

  Definition at_position (ws : list (list (int * int))) (p : nat) (ts : list nat) : element :=
    let lh := less_and_more (nth p base []) in elements (nth p ws []) (fst lh) (snd lh) ts.

  Definition boxes (ws : list (list (int * int))) : list (list element) :=
    let before := map (fun p => (at_position ws p (seq 0 m), at_position ws p [m])) (seq 0 k) in
    let last := at_position ws k [q] in
    map (fun b => b ++ [last]) (if (m =? q)%nat then [map (joined join) before] else first_largest join before).

  Definition is_positive (a : int) : bool := Sint63.ltb 0 a.

  Definition screened (sum : list int) : bool :=
    forallb (fun b => b) (zip (fun o a => is_positive a || (o =? m)%nat || existsb (Nat.eqb o) doubtful) (seq 0 v) sum).

  Definition least (l : list pair_of_vectors) : list int :=
    fold_right (fun r a => zip imin (fst (snd r)) a) (map (fun _ => huge) doubtful) l.
  Definition greatest (l : list pair_of_vectors) : list int :=
    fold_right (fun r a => zip imax (snd (snd r)) a) (map (fun _ => minus_huge) doubtful) l.
  (** The input, if a box has only one *)
  Fixpoint single (b : list (list pair_of_vectors)) : option (list nat) :=
    match b with
    | [] => Some []
    | [r] :: b => match single b with Some x => Some (fst r :: x) | None => None end
    | _ => None
    end.
  Definition leaf (b : list (list pair_of_vectors)) : result :=
    if negb (length b <=? most_positions)%nat then none
    else if forallb is_positive (sums doubtful (map least b)) then (size b, 0%Z)
    else if forallb is_positive (sums doubtful (map greatest b)) then
      match single b with
      | Some x => match closely x with Some c => if c : bool then (1, 0)%Z else (0, 1)%Z | None => none end
      | None => none
      end
    else (0%Z, size b).

  Definition judge (b : list element) (t : tree) : result :=
    if screened (sums screen (map fst b)) then follow leaf t (map snd b) else none.

  Fixpoint judge_all (bs : list (list element)) (ts : list tree) : result :=
    match bs with [] => none | b :: bs => both (judge b (hd Leaf ts)) (judge_all bs (tl ts)) end.

  Definition check (trees : list tree) : result :=
    let ws := map (map (shrink shift)) in_class in
    if forallb (fun o => (o <? v)%nat && negb (o =? m)%nat) doubtful && forallb (forallb sound_weight) ws
    then judge_all (boxes (map (map (fun w => (of_Z (fst w), of_Z (snd w)))) ws)) trees
    else none.

  (** * Soundness *)
  Variables (w : nat -> nat -> R) (gap : nat -> nat -> nat -> R). (* position, token; and output *)
  Hypothesis few_positions : (S k <= most_positions)%nat.
  Hypothesis q_le_m : (q <= m)%nat.
  Hypothesis m_lt_v : (m < v)%nat.
  Variables (bZ : nat -> nat -> Z) (eZ : nat -> nat -> Z).
  Hypothesis base_is : forall p, (p <= k)%nat ->
    Forall2 (fun o z => bounded (2 ^ 30) z /\ val z = bZ p o) (seq 0 v) (nth p base []).
  Hypothesis gaps_are : forall t, (t <= m)%nat ->
    Forall2 (fun o z => bounded (2 ^ 31) z /\ val z = (eZ t m - eZ t o)%Z) (seq 0 v) (nth t gaps []).
  Hypothesis weights_are : forall p t, (p <= k)%nat -> (t <= m)%nat -> let b := nth t (nth p weights []) (-1, -1)%Z in
    (0 <= fst b)%Z -> IZR (fst b) <= w p t <= IZR (snd b).
  Hypothesis gap_is : forall p t o, (p <= k)%nat -> (t <= m)%nat -> (o < v)%nat ->
    IZR (bZ p m - bZ p o + (eZ t m - eZ t o) - 2) <= gap p t o <= IZR (bZ p m - bZ p o + (eZ t m - eZ t o) + 2).

  Definition f (p t o : nat) : R := w p t / IZR (2 ^ shift) * gap p t o.

  Hypothesis closely_is : forall x c, closely x = Some c ->
    forallb (fun o => if Rlt_dec 0 (along f 0 x o) then true else false) doubtful = c.
  Hypothesis safe_is : safe = true -> forall b x o, In b (with_largest k q m) -> member x (b ++ [[q]]) -> (o < v)%nat ->
    0 < along f 0 x o \/ o = m \/ In o doubtful.

  Notation below := (bounds Rle f).
  Notation above := (bounds Rge f).

  Lemma shift_nonneg : (0 <= shift)%Z.
  Proof. unfold shift. lia. Qed.

  Lemma shrink_sound b r : IZR (fst b) <= r <= IZR (snd b) ->
    IZR (fst (shrink shift b)) <= r / IZR (2 ^ shift) <= IZR (snd (shrink shift b)).
  Proof.
    pose proof shift_nonneg as Hs. assert (H2 : (0 < 2 ^ shift)%Z) by (apply Z.pow_pos_nonneg; lia).
    assert (H2r : 0 < IZR (2 ^ shift)) by (apply IZR_lt; assumption).
    assert (D : forall z, IZR (Z.shiftr z shift) * IZR (2 ^ shift) <= IZR z).
    { intros z. rewrite <- mult_IZR. apply IZR_le. rewrite Z.shiftr_div_pow2, Z.mul_comm by assumption. apply Z.mul_div_le, H2. }
    intros [H1 H3]. unfold shrink; cbn [fst snd]. split.
    - apply (Rmult_le_reg_r (IZR (2 ^ shift))); [assumption|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
      specialize (D (fst b)). lra.
    - apply (Rmult_le_reg_r (IZR (2 ^ shift))); [assumption|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
      specialize (D (- snd b)%Z). rewrite !opp_IZR in *. lra.
  Qed.

  Section WithWeights.
    Let ws := map (map (shrink shift)) in_class.
    Hypothesis weights_sound : forallb (forallb sound_weight) ws = true.
    Hypothesis doubtful_ok : forallb (fun o => (o <? v)%nat && negb (o =? m)%nat) doubtful = true.
    Let ints := map (map (fun w => (of_Z (fst w), of_Z (snd w)))) ws.

    Lemma doubtful_lt o : In o doubtful -> (o < v)%nat /\ o <> m.
    Proof.
      intros H. rewrite forallb_forall in doubtful_ok. specialize (doubtful_ok o H).
      apply andb_true_iff in doubtful_ok as [H1 H2]. apply Nat.ltb_lt in H1. apply negb_true_iff, Nat.eqb_neq in H2. auto.
    Qed.

    Lemma nth_seq_map {A} (g : nat -> A) c i d : (i < c)%nat -> nth i (map g (seq 0 c)) d = g i.
    Proof.
      intros H. rewrite (nth_indep _ d (g O)) by (rewrite map_length, seq_length; assumption).
      rewrite map_nth, seq_nth by assumption. reflexivity.
    Qed.

    Lemma ints_are p t : (p <= k)%nat -> (t <= m)%nat -> let (lo, hi) := nth t (nth p ints []) (0, 0)%uint63 in
      (0 <= val lo <= weight_bound)%Z /\ (0 <= val hi <= weight_bound)%Z /\
      IZR (val lo) <= w p t / IZR (2 ^ shift) <= IZR (val hi).
    Proof.
      intros Hp Ht.
      set (b := nth t (nth p weights []) (-1, -1)%Z).
      assert (E : nth p ws [] = map (fun t => shrink shift (nth t (nth p weights []) (-1, -1)%Z)) (seq 0 (S m))).
      { unfold ws, in_class. rewrite map_map.
        rewrite (nth_seq_map (fun p => map (shrink shift) (let row := nth p weights [] in
          map (fun t => nth t row (-1, -1)%Z) (seq 0 (S m))))) by lia. cbv zeta. apply map_map. }
      assert (Hin : In (shrink shift b) (nth p ws [])).
      { rewrite E. apply in_map_iff. exists t. split; [reflexivity|]. apply in_seq. lia. }
      assert (Hs : sound_weight (shrink shift b) = true).
      { rewrite forallb_forall in weights_sound. assert (Hw : In (nth p ws []) ws).
        { apply nth_In. unfold ws, in_class. rewrite !map_length, seq_length. lia. }
        specialize (weights_sound _ Hw). rewrite forallb_forall in weights_sound. apply weights_sound, Hin. }
      assert (Ei : nth t (nth p ints []) (0, 0)%uint63 = (of_Z (fst (shrink shift b)), of_Z (snd (shrink shift b)))).
      { unfold ints. change (@nil (int * int)) with (map (fun w : Z * Z => (of_Z (fst w), of_Z (snd w))) []).
        rewrite map_nth, E, map_map.
        rewrite (nth_seq_map (fun t => (of_Z (fst (shrink shift (nth t (nth p weights []) (-1, -1)%Z))),
          of_Z (snd (shrink shift (nth t (nth p weights []) (-1, -1)%Z)))))) by lia. reflexivity. }
      rewrite Ei. unfold sound_weight in Hs. apply andb_true_iff in Hs as [H1 H2]. apply Z.leb_le in H1, H2.
      assert (Hb : (0 <= fst b)%Z) by (apply (Z.shiftr_nonneg _ shift); assumption).
      pose proof (shrink_sound b (w p t) (weights_are p t Hp Ht Hb)) as [H3 H4].
      assert (H5 : (fst (shrink shift b) <= snd (shrink shift b))%Z) by (apply le_IZR; lra).
      unfold weight_bound in *. rewrite !val_of_Z by (unfold fits; lia). repeat split; try lia; assumption.
    Qed.

    Lemma less_and_more_are p : (p <= k)%nat ->
      Forall2 (fun o z => bounded (2 ^ 32) z /\ val z = (bZ p m - bZ p o - 2)%Z) (seq 0 v) (fst (less_and_more (nth p base []))) /\
      Forall2 (fun o z => bounded (2 ^ 32) z /\ val z = (bZ p m - bZ p o + 2)%Z) (seq 0 v) (snd (less_and_more (nth p base []))).
    Proof.
      intros Hp. pose proof (base_is p Hp) as Hb.
      assert (Ht : bounded (2 ^ 30) (nth m (nth p base []) 0%uint63) /\ val (nth m (nth p base []) 0%uint63) = bZ p m).
      { pose proof (Forall2_pick _ v [m] _ ltac:(intros o [<-|[]]; exact m_lt_v) Hb) as H. inversion_clear H. assumption. }
      destruct Ht as [B1 E1]. unfold less_and_more. set (top := nth m _ _) in *. cbn [fst snd]. unfold bounded in *.
      change (2 ^ 30)%Z with 1073741824%Z in *. change (2 ^ 32)%Z with 4294967296%Z.
      assert (E2 : val (top - 2)%uint63 = (val top - 2)%Z) by (apply (val_sub top 2); unfold fits; change (val 2) with 2%Z; lia).
      assert (E3 : val (top + 2)%uint63 = (val top + 2)%Z) by (apply (val_add top 2); unfold fits; change (val 2) with 2%Z; lia).
      split; revert Hb; apply Forall2_map; intros o z _ [B E]; change (2 ^ 30)%Z with 1073741824%Z in B.
      - assert (E4 : val (top - 2 - z)%uint63 = (val top - 2 - val z)%Z) by (rewrite val_sub; rewrite E2; [reflexivity|unfold fits; lia]).
        rewrite E4. lia.
      - assert (E4 : val (top + 2 - z)%uint63 = (val top + 2 - val z)%Z) by (rewrite val_sub; rewrite E3; [reflexivity|unfold fits; lia]).
        rewrite E4. lia.
    Qed.

    Lemma gap_sum a b : bounded (2 ^ 32) a -> bounded (2 ^ 31) b ->
      val (a + b)%uint63 = (val a + val b)%Z /\ bounded gap_bound (a + b)%uint63.
    Proof.
      unfold bounded, gap_bound. intros Ha Hb. assert (E : val (a + b)%uint63 = (val a + val b)%Z) by (apply val_add; unfold fits; lia).
      rewrite E. split; [reflexivity|lia].
    Qed.

    Lemma row_below os p t low d lo hi : (forall o, In o os -> (o < v)%nat) -> (p <= k)%nat -> (t <= m)%nat ->
      nth t (nth p ints []) (0, 0)%uint63 = (lo, hi) ->
      Forall2 (fun o z => bounded (2 ^ 32) z /\ val z = (bZ p m - bZ p o - 2)%Z) os low ->
      Forall2 (fun o z => bounded (2 ^ 31) z /\ val z = (eZ t m - eZ t o)%Z) os d -> below os p [t] (row lo hi low d).
    Proof.
      intros Hos Hp Ht Hw. pose proof (ints_are p t Hp Ht) as Hi. rewrite Hw in Hi. destruct Hi as (H1 & H2 & H3).
      apply Forall2_zip. intros o a b Ho [Ba Ea] [Bb Eb]. destruct (gap_sum a b Ba Bb) as [E Bg].
      destruct (product_below lo hi (a + b)%uint63 _ (gap p t o) H1 H2 Bg H3) as [H4 H5].
      - rewrite E, Ea, Eb. eapply Rle_trans; [|apply gap_is; auto]. apply IZR_le. lia.
      - split; [exact H4|]. intros t' [<-|[]]. exact H5.
    Qed.

    Lemma row_above os p t high d lo hi : (forall o, In o os -> (o < v)%nat) -> (p <= k)%nat -> (t <= m)%nat ->
      nth t (nth p ints []) (0, 0)%uint63 = (lo, hi) ->
      Forall2 (fun o z => bounded (2 ^ 32) z /\ val z = (bZ p m - bZ p o + 2)%Z) os high ->
      Forall2 (fun o z => bounded (2 ^ 31) z /\ val z = (eZ t m - eZ t o)%Z) os d -> above os p [t] (row hi lo high d).
    Proof.
      intros Hos Hp Ht Hw. pose proof (ints_are p t Hp Ht) as Hi. rewrite Hw in Hi. destruct Hi as (H1 & H2 & H3).
      apply Forall2_zip. intros o a b Ho [Ba Ea] [Bb Eb]. destruct (gap_sum a b Ba Bb) as [E Bg].
      destruct (product_above lo hi (a + b)%uint63 _ (gap p t o) H1 H2 Bg H3) as [H4 H5].
      - rewrite E, Ea, Eb. eapply Rle_trans; [apply gap_is; auto|]. apply IZR_le. lia.
      - split; [exact H4|]. intros t' [<-|[]]. exact H5.
    Qed.

    (** ** What is known of a position's tokens *)
    Definition fact (p t : nat) (r : pair_of_vectors) : Prop :=
      fst r = t /\ below doubtful p [t] (fst (snd r)) /\ above doubtful p [t] (snd (snd r)).
    Definition known (p : nat) (ts : list nat) (e : element) : Prop :=
      below screen p ts (fst e) /\ Forall2 (fact p) ts (snd e).

    Lemma known_join p ts ts' e e' : known p ts e -> known p ts' e' -> known p (ts ++ ts') (join e e').
    Proof.
      intros [H1 H2] [H3 H4]. split; simpl; [|apply Forall2_app; assumption].
      apply bounds_join; auto using imin_is, imin_1, imin_2. exact Rle_trans.
    Qed.

    Lemma huge_bounded : bounded term_bound huge /\ bounded term_bound minus_huge.
    Proof. unfold bounded, term_bound. split; vm_compute; split; discriminate. Qed.

    Lemma in_seq_lt o : In o (seq 0 v) -> (o < v)%nat.
    Proof. rewrite in_seq. lia. Qed.

    Lemma known_piece p t : (p <= k)%nat -> (t <= m)%nat ->
      known p [t] (piece (nth p ints []) (fst (less_and_more (nth p base []))) (snd (less_and_more (nth p base []))) t).
    Proof.
      intros Hp Ht. destruct (less_and_more_are p Hp) as [Hl Hh]. pose proof (gaps_are t Ht) as Hg.
      unfold piece. destruct (nth t (nth p ints []) (0, 0)%uint63) as [lo hi] eqn:Ew.
      assert (Hd : forall o, In o doubtful -> (o < v)%nat) by (intros o Ho; apply doubtful_lt, Ho).
      split; cbn [fst snd].
      - unfold screen. destruct safe; [constructor|]. apply row_below; auto using in_seq_lt.
      - constructor; [|constructor]. split; [reflexivity|]. split; cbn [fst snd].
        + apply row_below; auto; apply (Forall2_pick _ v); assumption.
        + apply row_above; auto; apply (Forall2_pick _ v); assumption.
    Qed.

    Lemma known_elements p ts : (p <= k)%nat -> (forall t, In t ts -> (t <= m)%nat) -> known p ts (at_position ints p ts).
    Proof.
      intros Hp. unfold at_position. cbv zeta. induction ts as [|t ts IH]; intros Ht.
      - split; [|constructor]. apply bounds_nothing, huge_bounded.
      - cbn [elements fold_right]. apply (known_join p [t] ts); [apply known_piece; simpl in *; auto|].
        apply IH. simpl in *; auto.
    Qed.

    Fixpoint all_known (p : nat) (b : box) (l : list element) : Prop :=
      match b, l with
      | [], [] => True
      | ts :: b, e :: l => known p ts e /\ all_known (S p) b l
      | _, _ => False
      end.
    Fixpoint pairs_known (p : nat) (b : list (list nat * list nat)) (l : list (element * element)) : Prop :=
      match b, l with
      | [], [] => True
      | ts :: b, e :: l => known p (fst ts) (fst e) /\ known p (snd ts) (snd e) /\ pairs_known (S p) b l
      | _, _ => False
      end.

    Lemma joined_known : forall b p l, pairs_known p b l -> all_known p (map (joined (@app nat)) b) (map (joined join) l).
    Proof.
      induction b as [|ts b IH]; intros p [|e l] H; try contradiction; simpl; [trivial|].
      destruct H as (H1 & H2 & H3). split; [apply known_join; assumption|apply IH, H3].
    Qed.

    Lemma first_largest_known : forall b p l, pairs_known p b l ->
      Forall2 (all_known p) (first_largest (@app nat) b) (first_largest join l).
    Proof.
      induction b as [|ts b IH]; intros p [|e l] H; try contradiction; simpl; [constructor|].
      destruct H as (H1 & H2 & H3). constructor.
      - simpl. split; [assumption|]. apply joined_known, H3.
      - specialize (IH (S p) l H3). clear - IH H1. induction IH; simpl; constructor; [simpl; auto|assumption].
    Qed.

    Lemma app_known : forall b p l c e, all_known p b l -> known (p + length b) c e -> all_known p (b ++ [c]) (l ++ [e]).
    Proof.
      induction b as [|ts b IH]; intros p [|a l] c e H Hc; try contradiction; simpl in *.
      - rewrite Nat.add_0_r in Hc. auto.
      - destruct H as [H1 H2]. split; [assumption|]. apply IH; [assumption|]. rewrite Nat.add_succ_comm. assumption.
    Qed.

    Lemma boxes_known : Forall2 (all_known 0) (map (fun b => b ++ [[q]]) (with_largest k q m)) (boxes ints).
    Proof.
      assert (HP : forall c p, (p + c <= k)%nat -> pairs_known p (repeat (seq 0 m, [m]) c)
        (map (fun p => (at_position ints p (seq 0 m), at_position ints p [m])) (seq p c))).
      { induction c as [|c IH]; intros p Hc; simpl; [trivial|]. repeat split.
        - apply known_elements; [lia|]. intros t Ht. apply in_seq in Ht. lia.
        - apply known_elements; [lia|]. intros t Ht. apply in_seq in Ht. lia.
        - apply known_elements; [lia|]. intros t [<-|[]]. lia.
        - apply known_elements; [lia|]. intros t [<-|[]]. lia.
        - apply IH. lia. }
      specialize (HP k O ltac:(lia)). unfold boxes, with_largest.
      assert (HL : known k [q] (at_position ints k [q])) by (apply known_elements; [lia|]; intros t [<-|[]]; lia).
      assert (HA : forall bs ls, Forall2 (all_known 0) bs ls -> (forall b, In b bs -> length b = k) ->
        Forall2 (all_known 0) (map (fun b => b ++ [[q]]) bs) (map (fun b => b ++ [at_position ints k [q]]) ls)).
      { induction 1 as [|b l bs ls H1 H2 IH]; intros Hlen; simpl; constructor.
        - apply app_known; [assumption|]. rewrite (Hlen b); simpl; auto.
        - apply IH. intros; apply Hlen; simpl; auto. }
      cbv zeta. destruct (m =? q)%nat.
      - apply HA.
        + constructor; [|constructor]. apply joined_known in HP. rewrite map_repeat in HP.
          replace (seq 0 (S m)) with (seq 0 m ++ [m]) by (symmetry; exact (seq_S m 0)). exact HP.
        + intros b [<-|[]]. apply repeat_length.
      - apply HA; [apply first_largest_known, HP|]. intros b Hb.
        apply (first_largest_length m k b Hb).
    Qed.
    (** ** What follows from it *)
    Definition margin_positive (x : list nat) (o : nat) : bool := if Rlt_dec 0 (along f 0 x o) then true else false.
    Definition right_on_doubtful (x : list nat) : bool := forallb (margin_positive x) doubtful.
    Definition right_on_all (x : list nat) : bool := forallb (fun o => (o =? m)%nat || margin_positive x o) (seq 0 v).

    Lemma least_below p : forall ts l, Forall2 (fact p) ts l -> below doubtful p ts (least l).
    Proof.
      induction 1 as [|t r ts l (_ & H1 & _) H2 IH]; [apply bounds_nothing, huge_bounded|].
      apply (bounds_join Rle imin Rle_trans imin_is imin_1 imin_2 f doubtful p [t] ts); assumption.
    Qed.
    Lemma greatest_above p : forall ts l, Forall2 (fact p) ts l -> above doubtful p ts (greatest l).
    Proof.
      induction 1 as [|t r ts l (_ & _ & H1) H2 IH]; [apply bounds_nothing, huge_bounded|].
      apply (bounds_join Rge imax Rge_trans imax_is imax_1 imax_2 f doubtful p [t] ts); assumption.
    Qed.

    Lemma facts_bounds : forall b p l, facts fact p b l ->
      all_bounds Rle f doubtful p b (map least l) /\ all_bounds Rge f doubtful p b (map greatest l) /\
      length l = length b /\ size l = size b.
    Proof.
      induction b as [|ts b IH]; intros p [|a l] H; try contradiction; [simpl; auto|].
      destruct H as [H1 H2]. destruct (IH (S p) l H2) as (H3 & H4 & H5 & H6).
      pose proof (Forall2_same_length _ _ _ H1) as H7. simpl. rewrite H5, H6, H7.
      repeat split; auto using least_below, greatest_above.
    Qed.

    Lemma val_positive a : is_positive a = true <-> 0 < IZR (val a).
    Proof.
      unfold is_positive. destruct (Sint63.ltbP 0 a) as [H|H]; change (val 0) with 0%Z in H; split; intros H'; try discriminate; auto.
      - apply IZR_lt, H.
      - apply lt_IZR in H'. contradiction.
    Qed.

    Lemma single_facts : forall b p l x, facts fact p b l -> single l = Some x -> b = map (fun t => [t]) x.
    Proof.
      induction b as [|ts b IH]; intros p [|a l] x H E; try contradiction; simpl in E; [injection E as <-; reflexivity|].
      destruct a as [|r [|r' a]]; [discriminate| |discriminate]. destruct H as [H1 H2].
      destruct (single l) as [y|] eqn:Ey; [|discriminate]. injection E as <-. rewrite (IH (S p) l y H2 Ey).
      inversion_clear H1 as [|t ? ts' ? [E' _] H3]. inversion_clear H3. rewrite E'. reflexivity.
    Qed.

    Lemma member_single x : forall y, member y (map (fun t => [t]) x) -> y = x.
    Proof.
      induction x as [|t x IH]; intros y H; inversion_clear H as [|s ? z ? Hs Hz]; [reflexivity|].
      destruct Hs as [<-|[]]. f_equal. apply IH, Hz.
    Qed.

    Lemma size_single (x : list nat) : size (map (fun t => [t]) x) = 1%Z.
    Proof. induction x as [|t x IH]; [reflexivity|]. cbn [map size length]. rewrite IH. reflexivity. Qed.

    Lemma leaf_fair b l : facts fact 0 b l -> fair right_on_doubtful b (leaf l).
    Proof.
      intros Hf. destruct (facts_bounds b O l Hf) as (HL & HG & Hlen & Hsize). unfold leaf. rewrite Hlen, Hsize.
      destruct (Nat.leb_spec (length b) most_positions) as [Hn|]; [|apply fair_none]. cbn [negb].
      pose proof (sums_bound Rle Rplus_le_compat (Rle_refl 0) f doubtful b O _ HL Hn) as SL.
      pose proof (sums_bound Rge Rplus_ge_compat (Rge_refl 0) f doubtful b O _ HG Hn) as SG.
      destruct (forallb is_positive (sums doubtful (map least l))) eqn:EL.
      - assert (E : count b right_on_doubtful = size b).
        { apply count_all. intros x Hx. apply forallb_forall. intros o Ho.
          destruct (Forall2_In _ _ _ SL o Ho) as (a & Ha & _ & Hb). rewrite forallb_forall in EL.
          pose proof (proj1 (val_positive a) (EL a Ha)) as Hp. specialize (Hb x Hx).
          unfold margin_positive. destruct (Rlt_dec _ _); [reflexivity|lra]. }
        split; cbn [fst snd]; [lia|apply count_nonneg].
      - destruct (forallb is_positive (sums doubtful (map greatest l))) eqn:EG.
        { destruct (single l) as [x|] eqn:Ex; [|apply fair_none]. destruct (closely x) as [c|] eqn:Ec; [|apply fair_none].
          apply closely_is in Ec. pose proof (single_facts b O l x Hf Ex) as ->. pose proof (size_single x) as S1.
          destruct c; (split; cbn [fst snd]; [|try apply count_nonneg]; try apply count_nonneg).
          - rewrite count_all, S1; [lia|]. intros y Hy. apply member_single in Hy as ->. exact Ec.
          - rewrite count_all, S1; [lia|]. intros y Hy. apply member_single in Hy as ->. apply negb_true_iff. exact Ec. }
        assert (E : count b (fun x => negb (right_on_doubtful x)) = size b).
        { apply count_all. intros x Hx. apply negb_true_iff. unfold right_on_doubtful. clear - SG EG Hx.
          induction SG as [|o a os l' [_ Hb] Hl IH]; [discriminate|]. simpl in EG |- *.
          destruct (is_positive a) eqn:Ea; simpl in EG.
          - rewrite (IH EG). apply andb_false_r.
          - assert (Hn : ~ 0 < IZR (val a)) by (intros H; apply val_positive in H; congruence).
            specialize (Hb x Hx). unfold margin_positive at 1. destruct (Rlt_dec _ _); [lra|reflexivity]. }
        split; cbn [fst snd]; [apply count_nonneg|lia].
    Qed.

    Lemma all_known_parts : forall b p l, all_known p b l ->
      all_bounds Rle f screen p b (map fst l) /\ facts fact p b (map snd l).
    Proof.
      induction b as [|ts b IH]; intros p [|a l] H; try contradiction; [simpl; auto|].
      destruct H as [[H1 H2] H3]. destruct (IH (S p) l H3). simpl. auto.
    Qed.

    Lemma fair_ext P Q b r : (forall x, member x b -> P x = Q x) -> fair P b r -> fair Q b r.
    Proof.
      intros H [H1 H2]. split; [rewrite <- (count_ext b P Q H); assumption|].
      rewrite <- (count_ext b (fun x => negb (P x)) (fun x => negb (Q x))); [assumption|]. intros x Hx. rewrite H; auto.
    Qed.

    Lemma judge_fair b l t : all_known 0 b l -> (length b <= most_positions)%nat ->
      (safe = true -> forall x o, member x b -> (o < v)%nat -> 0 < along f 0 x o \/ o = m \/ In o doubtful) ->
      fair right_on_all b (judge l t).
    Proof.
      intros Hk Hn Hsafe. destruct (all_known_parts b O l Hk) as [HL HF]. unfold judge.
      pose proof (sums_bound Rle Rplus_le_compat (Rle_refl 0) f screen b O _ HL Hn) as SL.
      destruct (screened _) eqn:Es; [|apply fair_none].
      apply (fair_ext right_on_doubtful).
      - intros x Hx.
        assert (HS : forall o, In o (seq 0 v) -> margin_positive x o = true \/ o = m \/ In o doubtful).
        { intros o' Ho'. apply in_seq_lt in Ho' as Ho''. unfold screen in SL, Es. destruct safe.
          { unfold margin_positive. destruct (Hsafe eq_refl x o' Hx Ho'') as [H|H]; [|right; exact H]. left.
            destruct (Rlt_dec _ _); [reflexivity|contradiction]. }
          revert o' Ho' Ho''. unfold screened in Es. clear - SL Es Hx. induction SL as [|o a os l' [_ Hb] Hl IH]; [intros o []|].
          simpl in Es. apply andb_true_iff in Es as [E1 E2]. intros o' [<-|Ho'] Ho''; [|apply IH; assumption].
          apply orb_true_iff in E1 as [E1|E1]; [apply orb_true_iff in E1 as [E1|E1]|].
          - left. apply val_positive in E1. specialize (Hb x Hx). unfold margin_positive.
            destruct (Rlt_dec _ _); [reflexivity|lra].
          - right; left. apply Nat.eqb_eq, E1.
          - right; right. apply existsb_exists in E1 as (o' & Ho & E1). apply Nat.eqb_eq in E1 as ->. assumption. }
        apply eq_true_iff_eq. unfold right_on_doubtful, right_on_all. rewrite !forallb_forall. split.
        + intros H o Ho. destruct (HS o Ho) as [E|[-> |Hd]].
          * rewrite E. apply orb_true_r.
          * rewrite Nat.eqb_refl. reflexivity.
          * rewrite (H o Hd). apply orb_true_r.
        + intros H o Ho. destruct (doubtful_lt o Ho) as [H1 H2].
          specialize (H o ltac:(apply in_seq; lia)). apply orb_true_iff in H as [H|H]; [|assumption].
          apply Nat.eqb_eq in H. contradiction.
      - apply (follow_fair leaf fact right_on_doubtful leaf_fair). assumption.
    Qed.

    Definition fair_all (P : list nat -> bool) (bs : list box) (r : result) : Prop :=
      (fst r <= sum_over bs (fun b => count b P) /\ snd r <= sum_over bs (fun b => count b (fun x => negb (P x))))%Z.

    Lemma judge_all_fair : forall bs ls, Forall2 (all_known 0) bs ls ->
      (forall b, In b bs -> (length b <= most_positions)%nat /\ (safe = true -> forall x o, member x b -> (o < v)%nat ->
        0 < along f 0 x o \/ o = m \/ In o doubtful)) -> forall ts, fair_all right_on_all bs (judge_all ls ts).
    Proof.
      induction 1 as [|b l bs ls H1 H2 IH]; intros Hn ts; [split; simpl; lia|].
      destruct (Hn b ltac:(simpl; auto)) as [Hb Hs]. destruct (judge_fair b l (hd Leaf ts) H1 Hb Hs) as [A1 A2].
      destruct (IH (fun b Hb => Hn b (or_intror Hb)) (tl ts)) as [B1 B2]. split; simpl; lia.
    Qed.
  End WithWeights.

  Lemma with_largest_length c : forall b, In b (with_largest c q m) -> length b = c.
  Proof.
    unfold with_largest. destruct (m =? q)%nat; [|apply first_largest_length].
    intros b [<-|[]]. apply repeat_length.
  Qed.

  Theorem check_fair trees : fair_all right_on_all (map (fun b => b ++ [[q]]) (with_largest k q m)) (check trees).
  Proof.
    unfold check. cbv zeta. destruct (_ && _) eqn:E.
    - apply andb_true_iff in E as [E1 E2]. apply judge_all_fair; [assumption|apply boxes_known; assumption|].
      intros b Hb. apply in_map_iff in Hb as (b' & <- & Hb'). rewrite app_length, (with_largest_length _ _ Hb'). split.
      + simpl. lia.
      + intros Hs x o. apply (safe_is Hs b' x o Hb').
    - split; apply sum_over_nonneg; intros; apply count_nonneg.
  Qed.
End Check.
