(** The strategy `failing-sets`, all together: outputs are ruled out for ranges of last tokens, which are halved where that
    fails, and the inputs of a class with outputs that might still win are counted for these outputs alone. *)
From Coq Require Import Reals ZArith List Arith Bool Lia Lra Uint63.
From Bignums Require Import BigZ.
From Interval Require Import Real.Xreal Interval.Interval Interval.Float.
From CompactProofs Require Import Statement Sanity Softmax Tables Exponentials Boxes Vectors Classes Checker Cubic SafeOutputs.
Import ListNotations.
Open Scope R_scope.

(** * Ranges of queries *)
Section Explore.
  Variables (m : nat) (all : list nat). (* the largest token; outputs *)
  Variables (together : list nat -> nat -> bool) (by_itself : nat -> nat -> bool).
  Variable class : nat -> list nat -> result. (* for a query, and the outputs that might win *)

  Definition left_by (test : nat -> bool) (outputs : list nat) : list nat := filter (fun o => negb (test o)) outputs.

  Fixpoint explore (fuel : nat) (outputs queries : list nat) : result :=
    match queries with
    | [] => none
    | [q] => class q (left_by (by_itself q) outputs)
    | _ =>
        match left_by (together queries) outputs, fuel with
        | [], _ => total_result (map (fun q => class q []) queries)
        | rest, S fuel =>
            let half := Nat.div2 (length queries) in
            both (explore fuel rest (firstn half queries)) (explore fuel rest (skipn half queries))
        | _, O => none
        end
    end.

  Variable wins : nat -> nat -> Prop. (* query, output: the largest token beats it on all inputs *)
  Variables right_ wrong : nat -> Z.
  Hypothesis counts : forall q, (0 <= right_ q)%Z /\ (0 <= wrong q)%Z.
  Hypothesis together_is : forall Q q o, In q Q -> (q < m)%nat -> In o all -> together Q o = true -> wins q o.
  Hypothesis by_itself_is : forall q o, (q < m)%nat -> In o all -> by_itself q o = true -> wins q o.
  Hypothesis class_is : forall q rest, (q <= m)%nat -> (forall o, In o all -> wins q o \/ In o rest) ->
    (fst (class q rest) <= right_ q)%Z /\ (snd (class q rest) <= wrong q)%Z.

  Lemma left_by_is (test : nat -> bool) outputs (P : nat -> Prop) : (forall o, In o all -> test o = true -> P o) ->
    (forall o, In o all -> P o \/ In o outputs) -> forall o, In o all -> P o \/ In o (left_by test outputs).
  Proof.
    intros Htest H o Ho. destruct (H o Ho) as [|Hin]; [left; assumption|]. destruct (test o) eqn:E; [left; apply Htest; assumption|].
    right. apply filter_In. rewrite E. auto.
  Qed.

  Lemma explore_sound : forall fuel outputs Q, (forall q, In q Q -> (q < m)%nat) ->
    (forall q o, In q Q -> In o all -> wins q o \/ In o outputs) ->
    (fst (explore fuel outputs Q) <= sum_over Q right_)%Z /\ (snd (explore fuel outputs Q) <= sum_over Q wrong)%Z.
  Proof.
    assert (Hnone : forall Q, (fst none <= sum_over Q right_)%Z /\ (snd none <= sum_over Q wrong)%Z).
    { intros Q. split; apply sum_over_nonneg; intros q; apply counts. }
    induction fuel as [|fuel IH]; intros outputs Q HQ H; (destruct Q as [|q [|q' Q]]; [apply Hnone|..]).
    1, 3: pose proof (HQ q (or_introl eq_refl)) as Hq; cbn [explore sum_over fold_right]; rewrite !Z.add_0_r;
      apply class_is; [lia|]; apply left_by_is; [intros o Ho; apply by_itself_is; assumption|intros o; apply H; simpl; auto].
    all: cbn [explore]; set (l := q :: q' :: Q) in *.
    all: assert (Hleft : forall r o, In r l -> In o all -> wins r o \/ In o (left_by (together l) outputs)) by
      (intros r o Hr; apply left_by_is; [intros o' Ho'; apply together_is; auto|intros o' Ho'; apply H; assumption]).
    all: destruct (left_by (together l) outputs) as [|o rest] eqn:E.
    1, 3: apply total_result_le; intros r Hr; apply class_is; [specialize (HQ r Hr); lia|intros o; apply Hleft, Hr].
    - apply Hnone.
    - cbv zeta. set (half := Nat.div2 (length l)).
      assert (Hparts : forall r, In r (firstn half l) \/ In r (skipn half l) -> In r l).
      { intros r Hr. rewrite <- (firstn_skipn half l). apply in_or_app, Hr. }
      destruct (IH (o :: rest) (firstn half l)) as [A1 A2]; [auto|intros; apply Hleft; auto|].
      destruct (IH (o :: rest) (skipn half l)) as [B1 B2]; [auto|intros; apply Hleft; auto|].
      assert (Hsum : forall f, sum_over l f = (sum_over (firstn half l) f + sum_over (skipn half l) f)%Z).
      { intros f. rewrite <- sum_over_app, firstn_skipn. reflexivity. }
      rewrite !Hsum. unfold both. cbn [fst snd]. lia.
  Qed.
End Explore.

(** * All largest tokens *)
Section Run.
  Variables (M : model) (h : hints).
  Let v := tokens M.
  Let k := Nat.pred (positions M).
  Definition bits : F.precision := F.PtoP (precision h).
  Notation blank := (I.fromZ bits 0).

  (** All inputs of a class are right; or they are counted for the outputs that hints name, if these are all in question. *)
  Definition class_of (counted : nat -> nat -> result) (m q : nat) (rest : list nat) : result :=
    match rest with
    | [] => (sum_over (with_largest k q m) (fun b => size (b ++ [[q]])), 0%Z)
    | _ =>
        let named := fst (nth (m - q) (nth q (of_classes h) []) ([], [])) in
        if forallb (fun o => existsb (Nat.eqb o) named) rest then counted q m else none
    end.

  Definition own_weight (A : list (list I.type)) (m q : nat) : Z :=
    let row := nth q A [] in upper (I.div bits (nth q row blank) (nth m row blank)).

  Definition of_largest (d e a : list (list Z)) (A hulls_of_A : list (list I.type)) (spreads : list spread)
    (counted : nat -> nat -> result) (m : nat) : result :=
    let gaps := map (least_gaps m (look e)) (seq 0 v) in
    let places := map (least_place M m (look a)) (seq 0 v) in
    let ws := map (fun q => weights bits (nth q A []) (nth q hulls_of_A []) m) (seq 0 (S m)) in
    let own_ws := map (own_weight A m) (seq 0 (S m)) in
    if negb (forallb (forallb (Z.leb 0)) ws && forallb (Z.leb 0) own_ws) then none else
    let outputs := rivals v m in
    both
      (explore (together m (look d) (look e) gaps places (map (prices_among M ws spreads) (seq 0 m)))
        (by_itself M m (look d) (look e) gaps places ws own_ws spreads) (class_of counted m) v outputs (seq 0 m))
      (class_of counted m m (left_by (as_query M m (look d) (look e) gaps places ws spreads) outputs)).

  Definition sound_spread (s : spread) : bool := ((0 <=? most s) && (0 <=? last_to_least s) && (0 <=? most_to_last s))%Z.

  Definition failing_sets : result :=
    if negb (fitting M h && (0 <? k)%nat) then none else
    let T := tables_of M in
    let eZ := all_written M h T in
    let bZ := all_bases M h T in
    if negb (room eZ bZ) then none else
    let A := all_exponentials M bits (score_token T) v in
    let B := all_exponentials M bits (score_position T) (positions M) in
    let spreads := map (spread_of bits k) B in
    if negb (forallb sound_spread spreads) then none else
    let W := products bits (unit h) A B in
    let counted := in_class_of M h T (map (map (map of_Z)) bZ) (all_gaps M (map (map of_Z) eZ)) W true in
    total_result (map (of_largest (table (rounded_direct M h T) v v) eZ (table (rounded_at M h T) (S k) v)
      A (map (hulls bits) A) spreads counted) (seq 0 v)).
End Run.

(** Classes by query, or by largest token first *)
Lemma sum_by_largest (f : nat -> nat -> Z) v :
  sum_over (seq 0 v) (fun q => sum_over (seq q (v - q)) (f q)) =
  sum_over (seq 0 v) (fun m => sum_over (seq 0 (S m)) (fun q => f q m)).
Proof.
  induction v as [|v IH]; [reflexivity|]. rewrite !seq_S, !sum_over_app, <- IH. cbn [Nat.add sum_over fold_right].
  rewrite seq_S, sum_over_app. cbn [Nat.add sum_over fold_right]. replace (S v - v)%nat with 1%nat by lia. cbn [seq sum_over fold_right].
  rewrite (sum_over_ext (seq 0 v) _ (fun q => sum_over (seq q (v - q)) (f q) + f q v)%Z).
  - rewrite sum_over_add. unfold sum_over. lia.
  - intros q Hq. apply in_seq in Hq. replace (S v - q)%nat with (S (v - q)) by lia. rewrite seq_S, sum_over_app.
    cbn [sum_over fold_right]. replace (q + (v - q))%nat with v by lia. unfold sum_over. lia.
Qed.

Theorem failing_sets_sound (M : model) (h : hints) :
  (fst (failing_sets M h) <= correct_count M <= inputs_of M - snd (failing_sets M h))%Z.
Proof.
  unfold correct_count. rewrite count_inputs.
  set (P := rightb M). set (root := repeat (seq 0 (tokens M)) (positions M)).
  pose proof (size_inputs M : size root = inputs_of M) as Hsize.
  assert (Hfair : (fst (failing_sets M h) <= count root P /\ snd (failing_sets M h) <= count root (fun x => negb (P x)))%Z);
    [|pose proof (count_both root P); lia].
  unfold failing_sets. destruct (negb _) eqn:E1 in |- *; [apply fair_none|]. apply negb_false_iff, andb_true_iff in E1 as [E1 Hk].
  apply Nat.ltb_lt in Hk. cbv zeta.
  destruct (negb (room _ _)) eqn:E2; [apply fair_none|]. apply negb_false_iff in E2.
  destruct (negb (forallb sound_spread _)) eqn:E3; [apply fair_none|]. apply negb_false_iff in E3.
  pose proof (positions_are M h E1) as Hpos. pose proof E1 as E1'. unfold fitting in E1'.
  apply andb_true_iff in E1' as [E1' Hcut]. apply andb_true_iff in E1' as [Htidy _]. apply Z.leb_le in Hcut.
  destruct (tidy_parts M Htidy) as (_ & _ & Hhead & _).
  unfold root. rewrite Hpos, !count_by_classes, !sum_by_largest, <- Hpos. clear Hsize root.
  set (k := Nat.pred (positions M)) in *. set (v := tokens M) in *. set (T := tables_of M) in *.
  set (A := all_exponentials M (bits h) (score_token T) v) in *.
  set (B := all_exponentials M (bits h) (score_position T) (positions M)) in *.
  set (counted := in_class_of M h T _ _ _ true).
  assert (HA : forall q t, (q < v)%nat -> (t < v)%nat ->
    contains (I.convert (nth t (nth q A []) (I.fromZ (bits h) 0))) (Xreal (exp (score_by M (score_token T) q t)))).
  { intros q t Hq Ht. unfold A. rewrite nth_exponential by assumption. apply exponential_encloses, Hhead. }
  assert (HB : forall q p, (q < v)%nat -> (p <= k)%nat ->
    contains (I.convert (nth p (nth q B []) (I.fromZ (bits h) 0))) (Xreal (exp (score_by M (score_position T) q p)))).
  { intros q p Hq Hp. unfold B. rewrite nth_exponential by (try assumption; lia). apply exponential_encloses, Hhead. }
  assert (HAl : forall q, (q < v)%nat -> length (nth q A []) = v).
  { intros q Hq. apply (length_exponential M (bits h) (score_token T) v q Hq). }
  assert (HBl : forall q, (q < v)%nat -> length (nth q B []) = S k).
  { intros q Hq. rewrite <- Hpos. apply (length_exponential M (bits h) (score_position T) (positions M) q Hq). }
  assert (LA : length A = v) by (unfold A, all_exponentials; rewrite map_length; apply seq_length).
  assert (LB : length B = v) by (unfold B, all_exponentials; rewrite map_length; apply seq_length).
  apply total_result_le. intros m Hm. apply in_seq in Hm. unfold of_largest. cbv zeta. fold v k.
  set (right_ := fun q => sum_over (with_largest k q m) (fun b => count (b ++ [[q]]) P)).
  set (wrong := fun q => sum_over (with_largest k q m) (fun b => count (b ++ [[q]]) (fun x => negb (P x)))).
  assert (Hcounts : forall q, (0 <= right_ q)%Z /\ (0 <= wrong q)%Z).
  { intros q. split; apply sum_over_nonneg; intros; apply count_nonneg. }
  destruct (negb _) eqn:E4 in |- *.
  { split; apply sum_over_nonneg; intros; apply Hcounts. }
  apply negb_false_iff, andb_true_iff in E4 as [Ews Eown]. rewrite forallb_forall in Ews, Eown, E3.
  set (ws := map (fun q => weights (bits h) (nth q A []) _ m) (seq 0 (S m))) in *.
  set (own_ws := map (own_weight h A m) (seq 0 (S m))) in *.
  set (spreads := map (spread_of (bits h) k) B) in *.
  set (gaps := map (least_gaps m (look (all_written M h T))) (seq 0 v)).
  set (places := map (least_place M m _) (seq 0 v)).
  set (wins := fun q o => forall b x, In b (with_largest k q m) -> member x (b ++ [[q]]) -> logit M x o < logit M x m).
  assert (Ews_are : forall q, (q <= m)%nat -> nth q ws [] = weights (bits h) (nth q A []) (hulls (bits h) (nth q A [])) m).
  { intros q Hq. unfold ws. rewrite nth_map_seq by lia. rewrite (nth_map_in _ _ q []) by lia. reflexivity. }
  assert (Hgap : forall q t p o, (q <= m)%nat -> (t <= m)%nat -> (p <= k)%nat -> (o < v)%nat ->
    IZR (look (table (rounded_direct M h T) v v) q m - look (table (rounded_direct M h T) v v) q o +
      (look (all_written M h T) t m - look (all_written M h T) t o) +
      (look (table (rounded_at M h T) (S k) v) p m - look (table (rounded_at M h T) (S k) v) p o) - 3) <=
    (wrote M q t p m - wrote M q t p o) / IZR (2 ^ cut M h)).
  { intros q t p o Hq Ht Hp Ho. change (all_written M h T) with (table (rounded_written M h T) v v).
    rewrite !look_table by lia. apply (gap_apart M h q t p m o Hcut). }
  assert (Hgaps : forall o, (o < v)%nat -> nth o gaps [] = least_gaps m (look (all_written M h T)) o).
  { intros o Ho. unfold gaps. rewrite nth_map_seq by assumption. reflexivity. }
  assert (Hplaces : forall o, (o < v)%nat -> nth o places 0%Z = least_place M m (look (table (rounded_at M h T) (S k) v)) o).
  { intros o Ho. unfold places. rewrite nth_map_seq by assumption. reflexivity. }
  assert (Hws : forall q t, (q <= m)%nat -> (t < m)%nat -> (0 <= nth (index m t) (nth q ws []) 0)%Z /\
    exp (score_by M (score_token T) q t - score_by M (score_token T) q m) * IZR (2 ^ scale) <=
    IZR (nth (index m t) (nth q ws []) 0%Z)).
  { intros q t Hq Ht. assert (H0 : (0 <= nth (index m t) (nth q ws []) 0)%Z).
    { assert (Hin : In (nth q ws []) ws) by (apply nth_In; unfold ws; rewrite map_length, seq_length; lia).
      specialize (Ews _ Hin). rewrite forallb_forall in Ews. apply Z.leb_le, Ews, nth_In. rewrite Ews_are by assumption.
      unfold weights, by_cell. cbn [length]. rewrite map_length, seq_length. apply index_lt, Ht. }
    split; [exact H0|]. rewrite Ews_are in H0 |- * by assumption. apply weights_are; [rewrite HAl; lia| |exact H0].
    intros i Hi. apply HA; lia. }
  assert (Hws_length : forall q, (q <= m)%nat -> length (nth q ws []) = cells m).
  { intros q Hq. rewrite Ews_are by assumption. unfold weights, by_cell. cbn [length]. rewrite map_length, seq_length. reflexivity. }
  assert (Hown : forall q, (q <= m)%nat ->
    exp (score_by M (score_token T) q q - score_by M (score_token T) q m) * IZR (2 ^ scale) <= IZR (nth q own_ws 0%Z)).
  { intros q Hq. assert (H0 : (0 <= nth q own_ws 0)%Z).
    { apply Z.leb_le, Eown, nth_In. unfold own_ws. rewrite map_length, seq_length. lia. }
    unfold own_ws in *. rewrite nth_map_seq in H0 |- * by lia. unfold own_weight in *. cbv zeta in *.
    apply upper_above; [|exact H0]. apply ratio; apply HA; lia. }
  assert (Hspreads : forall q, (q <= m)%nat -> let s := spread_at spreads q in
    (forall p0 p, (p0 < k)%nat -> (p < k)%nat ->
      exp (score_by M (score_position T) q p - score_by M (score_position T) q p0) * IZR (2 ^ scale) <= IZR (most s)) /\
    (forall p0, (p0 < k)%nat ->
      exp (score_by M (score_position T) q k - score_by M (score_position T) q p0) * IZR (2 ^ scale) <= IZR (last_to_least s)) /\
    (forall p, (p < k)%nat ->
      exp (score_by M (score_position T) q p - score_by M (score_position T) q k) * IZR (2 ^ scale) <= IZR (most_to_last s))).
  { intros q Hq. cbv zeta. assert (Es : spread_at spreads q = spread_of (bits h) k (nth q B [])).
    { unfold spread_at, spreads. apply nth_map_in. lia. }
    assert (Hin : In (spread_at spreads q) spreads) by (apply nth_In; unfold spreads; rewrite map_length; lia).
    specialize (E3 _ Hin). rewrite Es in *. unfold sound_spread in E3. apply andb_true_iff in E3 as [E3 S3].
    apply andb_true_iff in E3 as [S1 S2]. apply Z.leb_le in S1, S2, S3.
    assert (HH : forall p, (p < k)%nat ->
      contains (I.convert (nth (Nat.pred k) (hulls (bits h) (nth q B [])) (I.fromZ (bits h) 0))) (Xreal (exp (score_by M (score_position T) q p)))).
    { intros p Hp. apply (hull_holds (bits h) _ _ p); [rewrite HBl; lia|lia|apply HB; lia]. }
    unfold spread_of in *. cbv zeta in *. cbn [most last_to_least most_to_last] in *.
    repeat split; intros; (apply upper_above; [|assumption]); apply ratio; auto; apply HB; lia. }
  set (prices := map (prices_among M ws spreads) (seq 0 m)).
  assert (Hprices : forall q, (q < m)%nat -> nth q prices [] = prices_among M ws spreads q).
  { intros q Hq. unfold prices. apply (nth_map_seq (prices_among M ws spreads)), Hq. }
  assert (Hclass : forall q rest, (q <= m)%nat -> (forall o, In o (rivals v m) -> wins q o \/ In o rest) ->
    (fst (class_of M h counted m q rest) <= right_ q)%Z /\ (snd (class_of M h counted m q rest) <= wrong q)%Z).
  { intros q rest Hq Hrest. unfold class_of. fold k. destruct rest as [|o rest].
    - split; [|apply Hcounts]. cbn [fst]. apply Z.eq_le_incl, sum_over_ext. intros b Hb. symmetry. apply count_all.
      intros x Hx. destruct (members_of_class M q m b x Hb ltac:(lia) Hx) as (_ & _ & L3 & _).
      unfold P, rightb. rewrite L3. apply forallb_forall. intros o Ho. apply in_seq in Ho. fold v in Ho.
      destruct (Nat.eqb_spec o m) as [|Hne]; [reflexivity|]. cbn [orb]. destruct (Rlt_dec _ _) as [|Hn]; [reflexivity|]. exfalso. apply Hn.
      destruct (Hrest o ltac:(apply in_rivals; lia)) as [Hw|[]]. apply (Hw b x Hb Hx).
    - cbv zeta. set (named := fst _). destruct (forallb _ (o :: rest)) eqn:En; [|apply Hcounts].
      rewrite forallb_forall in En. apply (class_sound M h true q m E1 E2); [fold v; lia|].
      intros _ b x o' Hb Hx Ho'. destruct (Nat.eq_dec o' m) as [|Hne]; [auto|].
      destruct (Hrest o' ltac:(apply in_rivals; fold v in Ho'; lia)) as [Hw|Hin]; [left; apply (Hw b x Hb Hx)|].
      right; right. specialize (En o' Hin). apply existsb_exists in En as (o'' & Ho'' & En). apply Nat.eqb_eq in En as ->. exact Ho''. }
  assert (Hinput : forall q b x, (q <= m)%nat -> In b (with_largest k q m) -> member x (b ++ [[q]]) ->
    length x = S k /\ nth k x O = q /\ (forall t, In t x -> (t <= m)%nat) /\ In m x).
  { intros q b x Hq Hb Hx. destruct (members_of_class M q m b x Hb Hq Hx) as (L1 & L2 & L3 & L4). fold k in L1, L2.
    repeat split; try assumption. rewrite <- L3. apply largest_is. destruct x; [discriminate|discriminate]. }
  rewrite seq_S, !sum_over_app. cbn [Nat.add sum_over fold_right]. rewrite !Z.add_0_r. unfold both. cbn [fst snd].
  match goal with |- (fst ?a + fst ?b <= _)%Z /\ _ => set (below := a); set (itself := b) end.
  assert (H1 : (fst below <= sum_over (seq 0 m) right_)%Z /\ (snd below <= sum_over (seq 0 m) wrong)%Z).
  { apply (explore_sound m (rivals v m) _ _ _ wins right_ wrong Hcounts).
    - intros Q q o HQ Hq Ho E b x Hb Hx. apply in_rivals in Ho as [Ho _].
      destruct (Hinput q b x ltac:(lia) Hb Hx) as (L1 & L2 & L3 & L4).
      apply (together_wins M h m _ _ _ gaps places ws spreads prices Htidy Hpos Hk (proj2 Hm) Hgap Hgaps Hplaces Hws Hws_length Hspreads Hprices
        Hcut x q o) with (Q := Q);
        try assumption; lia.
    - intros q o Hq Ho E b x Hb Hx. apply in_rivals in Ho as [Ho _].
      destruct (Hinput q b x ltac:(lia) Hb Hx) as (L1 & L2 & L3 & L4).
      apply (by_itself_wins M h m _ _ _ gaps places ws own_ws spreads Htidy Hpos Hk (proj2 Hm) Hgap Hgaps Hplaces Hws Hws_length Hown Hspreads Hcut x q o);
        try assumption; lia.
    - exact Hclass.
    - intros q Hq. apply in_seq in Hq. lia.
    - intros q o _ Ho. right. exact Ho. }
  assert (H2 : (fst itself <= right_ m)%Z /\ (snd itself <= wrong m)%Z).
  { apply Hclass; [lia|]. apply left_by_is; [|intros o Ho; right; exact Ho].
    intros o Ho E b x Hb Hx. apply in_rivals in Ho as [Ho _].
    destruct (Hinput m b x (Nat.le_refl m) Hb Hx) as (L1 & L2 & L3 & L4).
    apply (as_query_wins M h m _ _ _ gaps places ws spreads Htidy Hpos Hk (proj2 Hm) Hgap Hgaps Hplaces Hws Hws_length Hspreads Hcut x m o);
      try assumption; lia. }
  unfold sum_over in *. lia.
Qed.

Theorem failing_sets_checked (M : model) (h : hints) (number : Z) :
  (number <=? fst (failing_sets M h))%Z = true -> (number <= correct_count M)%Z.
Proof. intros H. apply Z.leb_le in H. pose proof (failing_sets_sound M h). lia. Qed.
