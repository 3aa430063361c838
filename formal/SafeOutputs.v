(** The strategy `failing-sets`: which outputs a largest token always beats is found for many last tokens at once; what is
    left is counted, for the outputs that might win only.

    The bounds that the lemmas of `FailingSets.v` take are found here: exponentials of differences of scores by intervals,
    rounded up to multiples of 2^-scale; everything else by the integers of `Cubic.v`. *)
From Coq Require Import Reals ZArith List Arith Bool Lia Lra Uint63 Sint63.
From Bignums Require Import BigZ.
From Flocq Require Import Core.
From Interval Require Import Real.Xreal Interval.Interval Interval.Float.
From CompactProofs Require Import Statement Softmax Tables Exponentials Boxes Vectors Classes Checker Cubic FailingSets.
Import ListNotations.
Open Scope R_scope.

(** * One test, in integers *)
Definition scale : Z := 24.
Definition one : Z := Eval vm_compute in (2 ^ scale)%Z.

(** The product of two multiples of 2^-scale as one, rounded up *)
Definition times_up (a b : Z) : Z := (- Z.shiftr (- (a * b)) scale)%Z.

Lemma times_up_above a b : IZR (a * b) <= IZR (times_up a b) * IZR one.
Proof.
  unfold times_up. rewrite <- mult_IZR. apply IZR_le. rewrite Z.shiftr_div_pow2 by (unfold scale; lia).
  change (2 ^ scale)%Z with one. pose proof (Z.mul_div_le (- (a * b)) one eq_refl). lia.
Qed.

(** [lead], and no more than 0 of [own], outweigh what any cell of tokens takes, at its greatest [price]. *)
Definition outweighs (prices gaps : list Z) (cells : nat) (floor lead own : Z) : bool :=
  let sure := (one * lead + Z.min 0 own)%Z in
  (0 <? sure)%Z && forallb (fun i => 0 <? sure + nth i prices 0 * (nth i gaps 0 + floor))%Z (seq 0 cells).

Lemma least_and_0 (f : nat -> R) n : exists N, (N <= 0 /\ forall t, (t < n)%nat -> N <= f t) /\
  (N = 0 \/ exists t, (t < n)%nat /\ N = f t).
Proof.
  induction n as [|n (N & [H1 H2] & H3)]; [exists 0; split; [split; [lra|intros; lia]|left; reflexivity]|].
  destruct (Rle_or_lt N (f n)) as [H|H].
  - exists N. split; [split; [assumption|]|].
    + intros t Ht. destruct (Nat.eq_dec t n) as [->|]; [assumption|apply H2; lia].
    + destruct H3 as [H3|(t & Ht & H3)]; [left; assumption|right; exists t; split; [lia|assumption]].
  - exists (f n). split; [split; [lra|]|right; exists n; split; [lia|reflexivity]].
    intros t Ht. destruct (Nat.eq_dec t n) as [->|]; [lra|]. specialize (H2 t ltac:(lia)). lra.
Qed.

Lemma one_positive : 0 < IZR one.
Proof. unfold one. apply IZR_lt. lia. Qed.

Section Outweighs.
  Variables (prices gaps : list Z) (cells : nat) (floor lead own : Z) (m : nat) (index : nat -> nat).
  Variables (P : R) (w b : nat -> R).
  Hypothesis index_is : forall t, (t < m)%nat -> (index t < cells)%nat.
  Hypothesis P_positive : 0 <= P.
  Hypothesis w_positive : forall t, (t < m)%nat -> 0 <= w t.
  Hypothesis prices_are : forall t, (t < m)%nat -> P * w t * IZR one <= IZR (nth (index t) prices 0%Z).
  Hypothesis b_is : forall t, (t < m)%nat -> IZR (nth (index t) gaps 0%Z + floor) <= b t.

  Lemma outweighs_least : outweighs prices gaps cells floor lead own = true ->
    exists N, (N <= 0 /\ forall t, (t < m)%nat -> N <= w t * b t) /\ 0 < IZR lead + Rmin 0 (IZR own / IZR one) + P * N.
  Proof.
    unfold outweighs. cbv zeta. intros H. apply andb_true_iff in H as [H1 H2]. rewrite forallb_forall in H2.
    destruct (least_and_0 (fun t => w t * b t) m) as (N & HN & Hcase). exists N. split; [exact HN|].
    pose proof one_positive as H0. apply Z.ltb_lt, IZR_lt in H1. rewrite plus_IZR, mult_IZR, (Rmult_comm (IZR one)) in H1.
    assert (Hmin : IZR (Z.min 0 own) = Rmin 0 (IZR own / IZR one) * IZR one).
    { destruct (Z.min_spec 0 own) as [[Hs ->]|[Hs ->]].
      - rewrite Rmin_left; [ring|]. apply IZR_lt in Hs. apply Rlt_le, Rdiv_lt_0_compat; assumption.
      - apply IZR_le in Hs. rewrite Rmin_right; [field; lra|]. apply (Rmult_le_reg_r (IZR one)); [assumption|].
        unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_0_l, Rmult_1_r by lra. exact Hs. }
    set (sure := IZR lead + Rmin 0 (IZR own / IZR one)) in *.
    assert (Hsure : IZR lead * IZR one + IZR (Z.min 0 own) = sure * IZR one) by (unfold sure; rewrite Hmin; ring).
    rewrite Hsure in H1. assert (Hpos : 0 < sure) by (apply (Rmult_lt_reg_r (IZR one)); lra).
    destruct Hcase as [->|(t & Ht & ->)]; [lra|].
    destruct (Rle_or_lt 0 (b t)) as [Hb|Hb].
    { pose proof (w_positive t Ht). assert (0 <= P * (w t * b t)) by (repeat apply Rmult_le_pos; assumption). lra. }
    specialize (H2 (index t)). specialize (H2 ltac:(apply in_seq; specialize (index_is t Ht); lia)).
    apply Z.ltb_lt, IZR_lt in H2. rewrite !plus_IZR, !mult_IZR, (Rmult_comm (IZR one)), Hsure in H2. specialize (prices_are t Ht). specialize (b_is t Ht).
    set (c := IZR (nth (index t) prices 0%Z)) in *. set (g := IZR (nth (index t) gaps 0%Z + floor)) in *.
    assert (Hc : 0 <= c).
    { eapply Rle_trans; [|exact prices_are]. pose proof (w_positive t Ht). repeat apply Rmult_le_pos; lra. }
    apply (Rmult_lt_reg_r (IZR one)); [assumption|]. rewrite Rmult_0_l, Rmult_plus_distr_r.
    replace (P * (w t * b t) * IZR one) with (P * w t * IZR one * b t) by ring.
    assert (c * b t <= P * w t * IZR one * b t).
    { rewrite !(Rmult_comm _ (b t)). apply Rmult_le_compat_neg_l; lra. }
    assert (c * g <= c * b t) by (apply Rmult_le_compat_l; lra). lra.
  Qed.
End Outweighs.

(** * Cells of tokens below the largest one: all that are far below it, and each that is near *)
Definition near : nat := 4.
Definition far (m : nat) : nat := Nat.max 1 (m - near).
Definition cells (m : nat) : nat := S (m - far m).
Definition index (m t : nat) : nat := (t - Nat.pred (far m))%nat.
Definition by_cell {A} (m : nat) (a : A) (f : nat -> A) : list A := a :: map f (seq (far m) (m - far m)).

Lemma index_lt m t : (t < m)%nat -> (index m t < cells m)%nat.
Proof. unfold index, cells, far. lia. Qed.

Lemma nth_by_cell {A} m (a : A) f t d : (t < m)%nat ->
  nth (index m t) (by_cell m a f) d = if (t <? far m)%nat then a else f t.
Proof.
  intros Ht. unfold index, by_cell. destruct (Nat.ltb_spec t (far m)) as [H|H].
  - replace (t - Nat.pred (far m))%nat with O by lia. reflexivity.
  - assert (H0 : (1 <= far m)%nat) by (unfold far; lia). replace (t - Nat.pred (far m))%nat with (S (t - far m)) by lia. cbn [nth].
    rewrite (nth_map_in f _ _ O) by (rewrite seq_length; lia). rewrite seq_nth by lia. f_equal. lia.
Qed.

(** * Exponentials of differences, by intervals *)
Section Intervals.
  Variable precision : F.precision.
  Notation blank := (I.fromZ precision 0).
  Notation holds X r := (contains (I.convert X) (Xreal r)).

  Definition upper (X : I.type) : Z := snd (ends scale X).

  Lemma upper_above X r : holds X r -> (0 <= upper X)%Z -> r * IZR (2 ^ scale) <= IZR (upper X).
  Proof.
    unfold upper, ends. destruct X as [|a b]; [simpl; lia|]. intros HX.
    destruct (down scale a) as [lo|] eqn:Ea; [|simpl; lia]. destruct (up scale b) as [hi|] eqn:Eb; [|simpl; lia].
    intros _. cbn [snd]. unfold I.convert in HX. destruct (_ && _); simpl in HX; [|lra]. destruct HX as [_ H2].
    rewrite IZR_pow2 by (unfold scale; lia). pose proof (bpow_gt_0 radix2 scale) as Hu.
    destruct (F.toX b) as [|rb] eqn:Rb.
    - unfold F.toX in Rb. unfold up in Eb. destruct (F.toF b); discriminate.
    - eapply Rle_trans; [|apply (up_above _ _ _ _ Rb Eb)]. apply Rmult_le_compat_r; lra.
  Qed.

  Lemma ratio X Y a b : holds X (exp a) -> holds Y (exp b) -> holds (I.div precision X Y) (exp (a - b)).
  Proof.
    intros HX HY. replace (Xreal (exp (a - b))) with (Xbind2 Xdiv' (Xreal (exp a)) (Xreal (exp b))); [apply I.div_correct; assumption|].
    pose proof (exp_pos b). unfold Xbind2, Xdiv'. rewrite is_zero_false by lra. f_equal.
    unfold Rminus. rewrite exp_plus, exp_Ropp. reflexivity.
  Qed.

  (** Hulls of the first of a list, the first two, ... *)
  Fixpoint running (X : I.type) (l : list I.type) : list I.type :=
    match l with [] => [] | Y :: l => let H := I.join X Y in H :: running H l end.
  Definition hulls (l : list I.type) : list I.type := running (hd blank l) l.

  Lemma running_holds r : forall l X i d, (i < length l)%nat -> holds X r \/ (exists j, (j <= i)%nat /\ holds (nth j l d) r) ->
    holds (nth i (running X l) d) r.
  Proof.
    induction l as [|Y l IH]; intros X i d Hi H; [simpl in Hi; lia|]. cbn [running]. cbv zeta. destruct i as [|i]; cbn [nth].
    - apply I.join_correct. destruct H as [H|(j & Hj & H)]; [left; exact H|]. right. destruct j; [exact H|lia].
    - apply IH; [simpl in Hi; lia|]. destruct H as [H|(j & Hj & H)]; [left; apply I.join_correct; left; exact H|].
      destruct j as [|j]; [left; apply I.join_correct; right; exact H|]. right. exists j. split; [lia|exact H].
  Qed.

  Lemma hull_holds l i j d r : (i < length l)%nat -> (j <= i)%nat -> holds (nth j l d) r -> holds (nth i (hulls l) d) r.
  Proof. intros Hi Hj H. apply running_holds; [exact Hi|]. right. exists j. auto. Qed.

  (** By how much more each cell is attended to than the largest token, at most *)
  Definition weights (row hull : list I.type) (m : nat) : list Z :=
    let own := nth m row blank in
    by_cell m (upper (I.div precision (nth (Nat.pred (far m)) hull blank) own))
      (fun t => upper (I.div precision (nth t row blank) own)).

  Lemma weights_are row (s : nat -> R) m t : (t < m < length row)%nat ->
    (forall i, (i <= m)%nat -> holds (nth i row blank) (exp (s i))) ->
    (0 <= nth (index m t) (weights row (hulls row) m) 0)%Z ->
    exp (s t - s m) * IZR (2 ^ scale) <= IZR (nth (index m t) (weights row (hulls row) m) 0%Z).
  Proof.
    intros Ht Hs. unfold weights. cbv zeta. rewrite nth_by_cell by lia. intros H0.
    destruct (Nat.ltb_spec t (far m)) as [H|H]; (apply upper_above; [|exact H0]); apply ratio; try (apply Hs; lia).
    apply (hull_holds row _ t); [apply (Nat.le_lt_trans _ m); [unfold far; lia|exact (proj2 Ht)]|lia|apply Hs; lia].
  Qed.

  (** At the first k positions: the greatest ratio; the last position against the least; the greatest against the last *)
  Record spread := Spread { most : Z; last_to_least : Z; most_to_last : Z }.
  Definition spread_of (k : nat) (row : list I.type) : spread :=
    let H := nth (Nat.pred k) (hulls row) blank in let last := nth k row blank in
    Spread (upper (I.div precision H H)) (upper (I.div precision last H)) (upper (I.div precision H last)).
End Intervals.

(** * The tests for one largest token *)
Definition greatest_of (l : list Z) : Z := fold_right Z.max 0%Z l.

Lemma greatest_of_le l z : In z l -> (z <= greatest_of l)%Z.
Proof. unfold greatest_of. induction l as [|y l IH]; simpl; [contradiction|]. intros [->|H]; [lia|]. specialize (IH H). lia. Qed.

Definition score_by (M : model) (A : matrix) (q t : nat) : R := (/ 2 ^ exponent M) ^ 4 * at_ A q t / R_sqrt.sqrt (INR (head_width M)).

Lemma extremes (f : nat -> R) k : (0 < k)%nat ->
  exists p0 p1, ((p0 < k)%nat /\ (p1 < k)%nat) /\ forall p, (p < k)%nat -> f p0 <= f p <= f p1.
Proof.
  induction k as [|k IH]; intros H; [lia|]. destruct k as [|k].
  - exists O, O. split; [lia|]. intros p Hp. replace p with O by lia. lra.
  - destruct (IH ltac:(lia)) as (p0 & p1 & [H0 H1] & Hf).
    exists (if Rle_dec (f p0) (f (S k)) then p0 else S k), (if Rle_dec (f (S k)) (f p1) then p1 else S k).
    split; [destruct (Rle_dec _ _), (Rle_dec _ _); lia|]. intros p Hp. pose proof (Hf p0 H0) as F0.
    destruct (Nat.eq_dec p (S k)) as [->|]; [|specialize (Hf p ltac:(lia))];
      destruct (Rle_dec (f p0) (f (S k))), (Rle_dec (f (S k)) (f p1)); lra.
Qed.

Section Tests.
  Variables (M : model) (h : hints) (m : nat).
  Let v := tokens M.
  Let k := Nat.pred (positions M).
  Notation T := (tables_of M).
  Variables (direct_ writes at_p : nat -> nat -> Z). (* query, output; token, output; position, output *)
  Variables (gaps : list (list Z)) (places : list Z).  (* by output: of each cell; of the worst position *)
  Variables (ws : list (list Z)) (own_ws : list Z) (spreads : list spread). (* by query: of each cell; of the query itself *)
  Variable prices_of : list (list Z). (* by query: what each cell takes at most, among others *)

  Definition gap (t o : nat) : Z := (writes t m - writes t o)%Z.
  Definition least_gaps (o : nat) : list Z :=
    by_cell m (least_of (map (fun t => gap t o) (seq 0 (far m)))) (fun t => gap t o).
  Definition least_place (o : nat) : Z := (least_of (map (fun p => at_p p m - at_p p o) (seq 0 (S k))) - 3)%Z.

  Definition floor (Q : list nat) (o : nat) : Z :=
    (least_of (map (fun q => direct_ q m - direct_ q o) Q) + nth o places 0)%Z.
  Definition test (prices : list Z) (Q : list nat) (own : nat -> Z -> Z) (o : nat) : bool :=
    let F := floor Q o in outweighs prices (nth o gaps []) (cells m) F (gap m o + F) (own o F).
  Definition spread_at (q : nat) : spread := nth q spreads (Spread 0 0 0).
  Notation others := (Z.of_nat k - 1)%Z.

  (** All these queries below the largest token; one of them; the largest token as query *)
  Definition prices_among (q : nat) : list Z :=
    let price := (others * most (spread_at q) + last_to_least (spread_at q))%Z in map (times_up price) (nth q ws []).
  Definition together (Q : list nat) : nat -> bool :=
    let prices := map (fun i => greatest_of (map (fun q => nth i (nth q prices_of []) 0%Z) Q)) (seq 0 (cells m)) in
    test prices Q (fun _ _ => 0%Z).
  Definition by_itself (q : nat) : nat -> bool :=
    let price := (others * most (spread_at q))%Z in
    let prices := map (times_up price) (nth q ws []) in
    let own := times_up (last_to_least (spread_at q)) (nth q own_ws 0%Z) in
    test prices [q] (fun o F => own * (gap q o + F))%Z.
  Definition as_query : nat -> bool :=
    let price := (Z.of_nat k * most_to_last (spread_at m))%Z in
    test (map (times_up price) (nth m ws [])) [m] (fun _ _ => 0%Z).

  Hypothesis is_tidy : tidy M = true.
  Hypothesis positions_is : positions M = S k.
  Hypothesis some_other : (0 < k)%nat.
  Hypothesis m_lt_v : (m < v)%nat.
  Notation by_t := (score_by M (score_token T)).
  Notation by_p := (score_by M (score_position T)).
  Hypothesis gap_is : forall q t p o, (q <= m)%nat -> (t <= m)%nat -> (p <= k)%nat -> (o < v)%nat ->
    IZR (direct_ q m - direct_ q o + (writes t m - writes t o) + (at_p p m - at_p p o) - 3) <=
    (wrote M q t p m - wrote M q t p o) / IZR (2 ^ cut M h).
  Hypothesis gaps_are : forall o, (o < v)%nat -> nth o gaps [] = least_gaps o.
  Hypothesis places_are : forall o, (o < v)%nat -> nth o places 0%Z = least_place o.
  Hypothesis ws_are : forall q t, (q <= m)%nat -> (t < m)%nat -> (0 <= nth (index m t) (nth q ws []) 0)%Z /\
    exp (by_t q t - by_t q m) * IZR (2 ^ scale) <= IZR (nth (index m t) (nth q ws []) 0%Z).
  Hypothesis ws_length : forall q, (q <= m)%nat -> length (nth q ws []) = cells m.
  Hypothesis own_ws_are : forall q, (q <= m)%nat -> exp (by_t q q - by_t q m) * IZR (2 ^ scale) <= IZR (nth q own_ws 0%Z).
  Hypothesis spreads_are : forall q, (q <= m)%nat -> let s := spread_at q in
    (forall p0 p, (p0 < k)%nat -> (p < k)%nat -> exp (by_p q p - by_p q p0) * IZR (2 ^ scale) <= IZR (most s)) /\
    (forall p0, (p0 < k)%nat -> exp (by_p q k - by_p q p0) * IZR (2 ^ scale) <= IZR (last_to_least s)) /\
    (forall p, (p < k)%nat -> exp (by_p q p - by_p q k) * IZR (2 ^ scale) <= IZR (most_to_last s)).
  Hypothesis prices_of_are : forall q, (q < m)%nat -> nth q prices_of [] = prices_among q.
  Hypothesis cut_positive : (0 <= cut M h)%Z.

  Definition kappa : R := IZR (2 ^ cut M h) * (/ 2 ^ exponent M) ^ 4.

  Lemma kappa_positive : 0 < kappa.
  Proof.
    unfold kappa. apply Rmult_lt_0_compat; [apply pow2_positive; assumption|].
    apply pow_lt, Rinv_0_lt_compat, pow_lt. lra.
  Qed.

  Lemma floor_is q Q t p o : In q Q -> (q <= m)%nat -> (t <= m)%nat -> (p <= k)%nat -> (o < v)%nat ->
    kappa * IZR (gap t o + floor Q o) <= (/ 2 ^ exponent M) ^ 4 * (wrote M q t p m - wrote M q t p o).
  Proof.
    intros HQ Hq Ht Hp Ho. pose proof (gap_is q t p o Hq Ht Hp Ho) as H.
    assert (H1 : (floor Q o <= direct_ q m - direct_ q o + (at_p p m - at_p p o) - 3)%Z).
    { unfold floor. rewrite places_are by assumption. unfold least_place.
      pose proof (least_of_le _ _ (in_map (fun q => direct_ q m - direct_ q o)%Z Q q HQ)).
      pose proof (least_of_le _ _ (in_map (fun p => at_p p m - at_p p o)%Z (seq 0 (S k)) p ltac:(apply in_seq; lia))). lia. }
    assert (H2 : IZR (gap t o + floor Q o) <= (wrote M q t p m - wrote M q t p o) / IZR (2 ^ cut M h)).
    { eapply Rle_trans; [|exact H]. apply IZR_le. unfold gap. lia. }
    pose proof (pow2_positive _ cut_positive) as H3. pose proof kappa_positive as H4.
    apply (Rmult_le_compat_l kappa) in H2; [|lra]. eapply Rle_trans; [exact H2|]. apply Req_le. unfold kappa. field.
    split; [apply pow_nonzero; lra|lra].
  Qed.

  (** An input with this largest token, and last token q *)
  Section Input.
    Variables (x : list nat) (q o : nat).
    Hypothesis q_le_m : (q <= m)%nat.
    Hypothesis o_lt_v : (o < v)%nat.
    Hypothesis x_length : length x = S k.
    Hypothesis x_last : nth k x O = q.
    Hypothesis x_few : forall t, In t x -> (t <= m)%nat.
    Hypothesis x_largest : In m x.
    Notation w := (relative_weight M x m).
    Notation b Q := (fun t => kappa * IZR (gap t o + floor Q o)).

    Lemma the_last : nth (last M) x O = q.
    Proof. unfold last. fold k. exact x_last. Qed.

    Lemma w_is t : w t = exp (by_t q t - by_t q m).
    Proof. unfold relative_weight, by_token. rewrite the_last. reflexivity. Qed.

    Lemma rho_is p0 p : relative_position M x (by_p q p0) p = exp (by_p q p - by_p q p0).
    Proof. unfold relative_position, by_position. rewrite the_last. reflexivity. Qed.

    Lemma tokens_few p : (p <= k)%nat -> (nth p x O <= m)%nat.
    Proof. intros Hp. apply x_few, nth_In. lia. Qed.

    Lemma somewhere : (q < m)%nat -> exists p, (p < k)%nat /\ nth p x O = m.
    Proof.
      intros Hq. destruct (In_nth x m O x_largest) as (p & Hp & E). exists p. split; [|exact E].
      destruct (Nat.eq_dec p k) as [->|]; lia.
    Qed.

    Lemma bracket_above Q t p : In q Q -> (t <= m)%nat -> (p <= k)%nat -> b Q t <= bracket M x m o t p.
    Proof. intros HQ Ht Hp. unfold bracket. rewrite the_last. apply floor_is; assumption. Qed.

    Lemma scale_positive : 0 < IZR (2 ^ scale).
    Proof. apply pow2_positive. unfold scale. lia. Qed.

    (** What a test that succeeds means *)
    Lemma test_least Q prices own P : In q Q -> 0 <= P ->
      (forall t, (t < m)%nat -> P * w t * IZR one <= IZR (nth (index m t) prices 0%Z)) -> test prices Q own o = true ->
      exists N, (N <= 0 /\ forall t, (t < m)%nat -> N <= w t * b Q t) /\
        0 < b Q m + kappa * Rmin 0 (IZR (own o (floor Q o)) / IZR one) + P * N.
    Proof.
      intros HQ HP Hprices E. pose proof kappa_positive as Hk.
      destruct (outweighs_least prices (nth o gaps []) (cells m) (floor Q o) (gap m o + floor Q o) (own o (floor Q o)) m (index m)
        P w (fun t => IZR (gap t o + floor Q o))) as (N & [N1 N2] & N3).
      - intros t Ht. apply index_lt, Ht.
      - exact HP.
      - intros t Ht. apply Rlt_le, exp_pos.
      - exact Hprices.
      - intros t Ht. apply IZR_le. rewrite gaps_are by assumption. unfold least_gaps. rewrite nth_by_cell by assumption.
        destruct (Nat.ltb_spec t (far m)) as [H|H]; [|lia].
        pose proof (least_of_le _ _ (in_map (fun t => gap t o) (seq 0 (far m)) t ltac:(apply in_seq; lia))). lia.
      - exact E.
      - exists (kappa * N). repeat split.
        + rewrite <- (Rmult_0_r kappa). apply Rmult_le_compat_l; lra.
        + intros t Ht. replace (w t * (kappa * IZR (gap t o + floor Q o))) with (kappa * (w t * IZR (gap t o + floor Q o))) by ring.
          apply Rmult_le_compat_l; [lra|apply N2, Ht].
        + replace (_ + _ + _) with (kappa * (IZR (gap m o + floor Q o) + Rmin 0 (IZR (own o (floor Q o)) / IZR one) + P * N)) by ring.
          apply Rmult_lt_0_compat; assumption.
    Qed.

    Lemma product_one a A b' B : 0 <= a -> 0 <= b' -> a * IZR (2 ^ scale) <= IZR A -> b' * IZR (2 ^ scale) <= IZR B ->
      a * b' * IZR one <= IZR (times_up A B).
    Proof.
      intros Ha Hb HA HB. pose proof one_positive as H1. pose proof (times_up_above A B) as H. rewrite mult_IZR in H.
      change (IZR (2 ^ scale)) with (IZR one) in *. apply (Rmult_le_reg_r (IZR one)); [assumption|]. eapply Rle_trans; [|exact H].
      replace (a * b' * IZR one * IZR one) with ((a * IZR one) * (b' * IZR one)) by ring.
      apply Rmult_le_compat; try assumption; apply Rmult_le_pos; lra.
    Qed.

    Lemma others_positive : 0 <= INR k - 1.
    Proof. pose proof (le_INR 1 k ltac:(lia)) as H. simpl in H. lra. Qed.
    Lemma others_is : IZR others = INR k - 1.
    Proof. rewrite minus_IZR, <- INR_IZR_INZ. reflexivity. Qed.

    Lemma no_own : Rmin 0 (IZR 0 / IZR one) = 0.
    Proof. unfold Rdiv. rewrite Rmult_0_l. apply Rmin_left, Rle_refl. Qed.

    Theorem together_wins Q : In q Q -> (q < m)%nat -> together Q o = true -> logit M x o < logit M x m.
    Proof.
      intros HQ Hq E. destruct (extremes (by_p q) k some_other) as (p0 & p1 & [H0 H1] & Hp).
      destruct (spreads_are q q_le_m) as (S1 & S2 & _). specialize (S1 p0 p1 H0 H1). specialize (S2 p0 H0).
      set (R_ := exp (by_p q p1 - by_p q p0)) in *. set (L := exp (by_p q k - by_p q p0)) in *.
      pose proof (exp_pos (by_p q p1 - by_p q p0) : 0 < R_) as HR. pose proof (exp_pos (by_p q k - by_p q p0) : 0 < L) as HL.
      pose proof others_positive as Hk. pose proof scale_positive as Hs.
      assert (HkR : 0 <= (INR k - 1) * R_) by (apply Rmult_le_pos; lra).
      unfold together in E. cbv zeta in E.
      lapply (fun H => test_least Q _ _ ((INR k - 1) * R_ + L) HQ ltac:(lra) H E); [intros (N & HN & H)|].
      2:{ intros t Ht. destruct (ws_are q t q_le_m Ht) as [_ W2]. rewrite w_is.
        rewrite (nth_map_seq (fun i => greatest_of (map (fun q => nth i (nth q prices_of []) 0%Z) Q))) by apply index_lt, Ht.
        eapply Rle_trans; [|apply IZR_le, greatest_of_le, (in_map (fun q => nth (index m t) (nth q prices_of []) 0%Z)), HQ].
        rewrite prices_of_are by assumption. unfold prices_among. cbv zeta.
        rewrite (nth_map_in _ _ _ 0%Z) by (rewrite ws_length by assumption; apply index_lt, Ht).
        apply product_one; [lra|apply Rlt_le, exp_pos| |exact W2]. rewrite plus_IZR, mult_IZR, others_is.
        rewrite Rmult_plus_distr_r, Rmult_assoc. apply Rplus_le_compat; [|exact S2]. apply Rmult_le_compat_l; assumption. }
      - rewrite no_own, Rmult_0_r, Rplus_0_r in H.
        apply (safe_output M x m o (by_p q p0)) with (k := k) (lead := b Q m) (b := b Q) (W := w) (N := N) (R_ := R_) (L := L);
          rewrite ?the_last; try assumption; try (fold v; lia).
        + exact tokens_few.
        + intros p Hp'. unfold by_position. rewrite the_last. apply Hp, Hp'.
        + intros p Hp'. apply bracket_above; [assumption|lia|assumption].
        + intros t p Ht Hp'. apply bracket_above; [assumption|lia|assumption].
        + intros t _. apply Rle_refl.
        + intros p Hp'. rewrite rho_is. apply exp_le. specialize (Hp p Hp'). lra.
        + apply somewhere, Hq.
        + rewrite rho_is. apply Rle_refl.
    Qed.

    Theorem by_itself_wins : (q < m)%nat -> by_itself q o = true -> logit M x o < logit M x m.
    Proof.
      intros Hq E. destruct (extremes (by_p q) k some_other) as (p0 & p1 & [H0 H1] & Hp).
      destruct (spreads_are q q_le_m) as (S1 & S2 & _). specialize (S1 p0 p1 H0 H1). specialize (S2 p0 H0).
      set (R_ := exp (by_p q p1 - by_p q p0)) in *. set (L := exp (by_p q k - by_p q p0)) in *.
      pose proof (exp_pos (by_p q p1 - by_p q p0) : 0 < R_) as HR. pose proof (exp_pos (by_p q k - by_p q p0) : 0 < L) as HL.
      pose proof others_positive as Hk. pose proof scale_positive as Hs. pose proof kappa_positive as HK.
      assert (HkR : 0 <= (INR k - 1) * R_) by (apply Rmult_le_pos; lra).
      unfold by_itself in E. cbv zeta in E.
      lapply (fun H => test_least [q] _ _ ((INR k - 1) * R_) (or_introl eq_refl) HkR H E); [intros (N & HN & H)|].
      2:{ intros t Ht. destruct (ws_are q t q_le_m Ht) as [_ W2]. rewrite w_is.
        rewrite (nth_map_in _ _ _ 0%Z) by (rewrite ws_length by assumption; apply index_lt, Ht).
        apply product_one; [assumption|apply Rlt_le, exp_pos| |exact W2]. rewrite mult_IZR, others_is, Rmult_assoc.
        apply Rmult_le_compat_l; assumption. }
      - cbv beta in H. apply (safe_output_of_one_query M x m o (by_p q p0))
          with (k := k) (lead := b [q] m) (b := b [q]) (W := w) (N := N) (R_ := R_);
          rewrite ?the_last; try assumption; try (fold v; lia).
        + exact tokens_few.
        + intros p Hp'. unfold by_position. rewrite the_last. apply Hp, Hp'.
        + intros p Hp'. apply bracket_above; [simpl; auto|lia|assumption].
        + intros t p Ht Hp'. apply bracket_above; [simpl; auto|lia|assumption].
        + intros t _. apply Rle_refl.
        + intros p Hp'. rewrite rho_is. apply exp_le. specialize (Hp p Hp'). lra.
        + apply somewhere, Hq.
        + rewrite rho_is. fold L.
          assert (HO : L * w q * IZR one <= IZR (times_up (last_to_least (spread_at q)) (nth q own_ws 0%Z))).
          { rewrite w_is. apply product_one; [lra|apply Rlt_le, exp_pos|exact S2|apply own_ws_are, q_le_m]. }
          set (own := times_up (last_to_least (spread_at q)) (nth q own_ws 0%Z)) in *. set (g := (gap q o + floor [q] o)%Z) in *.
          rewrite mult_IZR in H. pose proof one_positive as H1'.
          assert (HLw : 0 < L * w q) by (apply Rmult_lt_0_compat; [assumption|apply exp_pos]).
          assert (HD : kappa * Rmin 0 (IZR own * IZR g / IZR one) <= Rmin 0 (L * w q * (kappa * IZR g))).
          { assert (Hc : L * w q <= IZR own / IZR one).
            { apply (Rmult_le_reg_r (IZR one)); [assumption|]. replace (IZR own / IZR one * IZR one) with (IZR own) by (field; lra). exact HO. }
            replace (IZR own * IZR g / IZR one) with (IZR own / IZR one * IZR g) by (field; lra).
            set (c := IZR own / IZR one) in *. replace (L * w q * (kappa * IZR g)) with (kappa * (L * w q * IZR g)) by ring.
            destruct (Rle_or_lt 0 (IZR g)) as [Hg|Hg].
            - rewrite !Rmin_left; [lra| |apply Rmult_le_pos; lra]. apply Rmult_le_pos; [lra|apply Rmult_le_pos; lra].
            - assert (Hcg : c * IZR g <= L * w q * IZR g) by (rewrite !(Rmult_comm _ (IZR g)); apply Rmult_le_compat_neg_l; lra).
              assert (Hn : L * w q * IZR g <= 0).
              { rewrite <- (Rmult_0_r (L * w q)). apply Rmult_le_compat_l; lra. }
              rewrite !Rmin_right; [apply Rmult_le_compat_l; lra| |lra]. rewrite <- (Rmult_0_r kappa). apply Rmult_le_compat_l; lra. }
          lra.
    Qed.

    Theorem as_query_wins : q = m -> as_query o = true -> logit M x o < logit M x m.
    Proof.
      intros Hq E. destruct (extremes (by_p q) k some_other) as (p0 & p1 & [H0 H1] & Hp).
      destruct (spreads_are q q_le_m) as (_ & _ & S3). specialize (S3 p1 H1).
      set (R_ := exp (by_p q p1 - by_p q p0)) in *. set (P := INR k * exp (by_p q p1 - by_p q k)).
      pose proof scale_positive as Hs. pose proof (pos_INR k) as Hk.
      assert (HP : 0 <= P) by (unfold P; apply Rmult_le_pos; [lra|apply Rlt_le, exp_pos]).
      unfold as_query in E. cbv zeta in E.
      lapply (fun H => test_least [m] _ _ P ltac:(left; congruence) HP H E); [intros (N & HN & H)|].
      2:{ intros t Ht. destruct (ws_are q t q_le_m Ht) as [_ W2]. rewrite w_is.
        replace (nth m ws []) with (nth q ws []) by (rewrite Hq; reflexivity).
        replace (spread_at m) with (spread_at q) by (rewrite Hq; reflexivity).
        rewrite (nth_map_in _ _ _ 0%Z) by (rewrite ws_length by assumption; apply index_lt, Ht).
        apply product_one; [assumption|apply Rlt_le, exp_pos| |exact W2]. unfold P. rewrite mult_IZR, <- INR_IZR_INZ, Rmult_assoc.
        apply Rmult_le_compat_l; assumption. }
      - rewrite no_own, Rmult_0_r, Rplus_0_r in H.
        apply (safe_output_of_largest M x m o (by_p q p0)) with (k := k) (lead := b [m] m) (b := b [m]) (W := w) (N := N) (R_ := R_);
          rewrite ?the_last; try assumption; try (fold v; lia).
        + exact tokens_few.
        + intros p Hp'. unfold by_position. rewrite the_last. apply Hp, Hp'.
        + intros p Hp'. apply bracket_above; [left; congruence|lia|assumption].
        + intros t p Ht Hp'. apply bracket_above; [left; congruence|lia|assumption].
        + intros t _. apply Rle_refl.
        + intros p Hp'. rewrite rho_is. apply exp_le. specialize (Hp p Hp'). lra.
        + rewrite rho_is. replace (INR k * R_ / exp (by_p q k - by_p q p0)) with P; [exact H|].
          unfold P, R_, Rdiv. rewrite Rmult_assoc. f_equal. rewrite <- exp_Ropp, <- exp_plus. f_equal. ring.
    Qed.
  End Input.
End Tests.
