(** The lemmas that the strategy `failing-sets` rules out outputs and counts by, about the network of the statement.  In
    words they are in `margin_tables`, `safe_outputs` and `failing_inputs` of
    `compactproofs.theorems.max_of_k.failing_sets`.  No theorem about a model needs this. *)
From Coq Require Import Reals ZArith List Arith Lia Lra.
From CompactProofs Require Import Statement Softmax Tables Boxes.
Import ListNotations.
Open Scope R_scope.

(** * A sum that decides, and bounds of its parts *)
Section Sum.
  Variables (k q m : nat) (x : list nat). (* positions but the last; last and largest token; the input *)
  Variables (rho : nat -> R) (w : nat -> R) (B : nat -> nat -> R). (* position; token; token, position *)
  Hypothesis few : forall p, (p <= k)%nat -> (nth p x O <= m)%nat.
  Hypothesis last_is : nth k x O = q.
  Hypothesis rho_1 : forall p, (p < k)%nat -> 1 <= rho p.
  Hypothesis rho_last : 0 < rho k.
  Hypothesis w_positive : forall t, 0 < w t.
  Hypothesis w_largest : w m = 1.
  Variables (lead : R) (b W : nat -> R) (N R_ : R). (* M, b(x), W(x), N and R *)
  Hypothesis lead_is : forall p, (p <= k)%nat -> lead <= B m p.
  Hypothesis b_is : forall t p, (t < m)%nat -> (p <= k)%nat -> b t <= B t p.
  Hypothesis W_is : forall t, (t < m)%nat -> w t <= W t.
  Hypothesis N_is : N <= 0 /\ forall t, (t < m)%nat -> N <= W t * b t.
  Hypothesis R_is : forall p, (p < k)%nat -> rho p <= R_.

  Definition contribution (p : nat) : R := rho p * w (nth p x O) * B (nth p x O) p.

  (** A token below the largest one contributes at least S N, for S no less than rho. *)
  Lemma other_token t p S_ : (t < m)%nat -> (p <= k)%nat -> 0 <= rho p <= S_ -> S_ * N <= rho p * w t * B t p.
  Proof.
    intros Ht Hp HS. destruct N_is as [N0 HN]. specialize (HN t Ht). pose proof (b_is t p Ht Hp) as Hb.
    pose proof (W_is t Ht) as HW. pose proof (w_positive t) as Hw.
    assert (H0 : 0 <= rho p * w t) by (apply Rmult_le_pos; lra).
    assert (HSN : S_ * N <= 0) by (rewrite <- (Rmult_0_r S_); apply Rmult_le_compat_l; lra).
    destruct (Rle_or_lt 0 (B t p)) as [HB|HB].
    - apply Rle_trans with 0; [exact HSN|]. apply Rmult_le_pos; assumption.
    - apply Rle_trans with (S_ * (W t * b t)); [apply Rmult_le_compat_l; lra|].
      apply Rle_trans with (rho p * w t * b t); [|apply Rmult_le_compat_l; lra].
      rewrite <- Rmult_assoc. rewrite !(Rmult_comm _ (b t)). apply Rmult_le_compat_neg_l; [lra|].
      apply Rmult_le_compat; lra.
  Qed.

  Lemma largest_token p : (p < k)%nat -> nth p x O = m -> 0 < lead -> lead <= contribution p.
  Proof.
    intros Hp E HM. unfold contribution. rewrite E, w_largest, Rmult_1_r. pose proof (lead_is p ltac:(lia)). pose proof (rho_1 p Hp).
    rewrite <- (Rmult_1_l lead). apply Rmult_le_compat; lra.
  Qed.

  Lemma at_most_R p : (p < k)%nat -> 0 < lead -> R_ * N <= contribution p.
  Proof.
    intros Hp HM. pose proof (rho_1 p Hp) as H1. pose proof (R_is p Hp) as HR. destruct (Nat.eq_dec (nth p x O) m) as [E|E].
    - pose proof (largest_token p Hp E HM). destruct N_is as [N0 _].
      assert (R_ * N <= 0) by (rewrite <- (Rmult_0_r R_); apply Rmult_le_compat_l; lra). lra.
    - unfold contribution. pose proof (few p ltac:(lia)). apply (other_token (nth p x O) p R_); [lia|lia|lra].
  Qed.

  Lemma first_positions j : (j <= k)%nat -> 0 < lead -> INR j * (R_ * N) <= total j contribution /\
    (forall p, (p < j)%nat -> nth p x O = m -> lead + (INR j - 1) * (R_ * N) <= total j contribution).
  Proof.
    intros Hj HM. induction j as [|j IH]; [simpl; split; [lra|intros; lia]|]. destruct (IH ltac:(lia)) as [H1 H2].
    pose proof (at_most_R j ltac:(lia) HM) as HR. rewrite S_INR. cbn [total]. split; [lra|]. intros p Hp E.
    destruct (Nat.eq_dec p j) as [->|Hpj]; [pose proof (largest_token j ltac:(lia) E HM); lra|].
    specialize (H2 p ltac:(lia) E). lra.
  Qed.

  (** L N, or what replaces it for a single query, is a lower bound D of the last contribution. *)
  Lemma below_the_largest D : (exists p, (p < k)%nat /\ nth p x O = m) -> D <= 0 -> D <= contribution k ->
    0 < lead + (INR k - 1) * (R_ * N) + D -> 0 < total (S k) contribution.
  Proof.
    intros (p & Hp & E) HD Hlast H. destruct N_is as [N0 _]. pose proof (rho_1 p Hp). pose proof (R_is p Hp).
    assert (R_ * N <= 0) by (rewrite <- (Rmult_0_r R_); apply Rmult_le_compat_l; lra).
    assert (1 <= INR k) by (apply (le_INR 1); lia).
    assert ((INR k - 1) * (R_ * N) <= 0) by (rewrite <- (Rmult_0_r (INR k - 1)); apply Rmult_le_compat_l; lra).
    destruct (first_positions k (Nat.le_refl k) ltac:(lra)) as [_ F]. specialize (F p Hp E). cbn [total]. lra.
  Qed.

  Theorem queries_below_the_largest L : (q < m)%nat -> (exists p, (p < k)%nat /\ nth p x O = m) -> rho k <= L ->
    0 < lead + ((INR k - 1) * R_ + L) * N -> 0 < total (S k) contribution.
  Proof.
    intros Hq Hm HL H. destruct N_is as [N0 _]. apply (below_the_largest (L * N) Hm).
    - rewrite <- (Rmult_0_r L). apply Rmult_le_compat_l; lra.
    - unfold contribution. rewrite last_is. apply other_token; [assumption|lia|lra].
    - rewrite Rmult_plus_distr_r, Rmult_assoc in H. lra.
  Qed.

  Theorem one_query_below_the_largest : (q < m)%nat -> (exists p, (p < k)%nat /\ nth p x O = m) ->
    0 < lead + (INR k - 1) * R_ * N + Rmin 0 (rho k * W q * b q) -> 0 < total (S k) contribution.
  Proof.
    intros Hq Hm H. apply (below_the_largest (Rmin 0 (rho k * W q * b q)) Hm); [apply Rmin_l| |rewrite <- Rmult_assoc; exact H].
    unfold contribution. rewrite last_is. pose proof (b_is q k Hq (Nat.le_refl k)). pose proof (W_is q Hq). pose proof (w_positive q).
    destruct (Rle_or_lt 0 (B q k)) as [HB|HB].
    - eapply Rle_trans; [apply Rmin_l|]. apply Rmult_le_pos; [apply Rmult_le_pos; lra|exact HB].
    - eapply Rle_trans; [apply Rmin_r|]. apply Rle_trans with (rho k * w q * b q).
      + rewrite !(Rmult_comm _ (b q)). apply Rmult_le_compat_neg_l; [lra|]. apply Rmult_le_compat_l; lra.
      + apply Rmult_le_compat_l; [apply Rmult_le_pos; lra|lra].
  Qed.

  Theorem largest_as_query : q = m -> 0 < lead + INR k * R_ / rho k * N -> 0 < total (S k) contribution.
  Proof.
    intros Hq H. destruct N_is as [N0 _]. pose proof (pos_INR k) as Hk.
    assert (HkR : 0 <= INR k * R_).
    { destruct (Nat.eq_dec k 0) as [->|Hk0]; [simpl; lra|]. pose proof (rho_1 O ltac:(lia)). pose proof (R_is O ltac:(lia)).
      apply Rmult_le_pos; lra. }
    assert (Hl : INR k * R_ / rho k * N <= 0).
    { rewrite <- (Rmult_0_r (INR k * R_ / rho k)). apply Rmult_le_compat_l; [|exact N0]. unfold Rdiv.
      apply Rmult_le_pos; [exact HkR|apply Rlt_le, Rinv_0_lt_compat, rho_last]. }
    destruct (first_positions k (Nat.le_refl k) ltac:(lra)) as [H1 _]. cbn [total].
    assert (Hlast : rho k * lead <= contribution k).
    { unfold contribution. rewrite last_is, Hq, w_largest, Rmult_1_r. apply Rmult_le_compat_l; [lra|]. apply lead_is. lia. }
    pose proof (Rmult_lt_0_compat _ _ rho_last H) as HP.
    replace (rho k * (lead + INR k * R_ / rho k * N)) with (rho k * lead + INR k * (R_ * N)) in HP by (field; lra). lra.
  Qed.
End Sum.

(** * The network: the sum of `margin_tables` *)
Section Network.
  Variables (M : model) (x : list nat) (m o : nat) (least : R).
  Hypothesis is_tidy : tidy M = true.
  Notation q := (nth (last M) x O).
  Hypothesis known_query : (q < tokens M)%nat.
  Hypothesis known_largest : (m < tokens M)%nat.
  Hypothesis known_output : (o < tokens M)%nat.
  Let c := / 2 ^ exponent M.

  (** Scores by token and by position, what a token writes for m beyond what it writes for o *)
  Definition by_token (t : nat) : R := c ^ 4 * at_ (score_token (tables_of M)) q t / sqrt (INR (head_width M)).
  Definition by_position (p : nat) : R := c ^ 4 * at_ (score_position (tables_of M)) q p / sqrt (INR (head_width M)).
  Definition relative_position (p : nat) : R := exp (by_position p - least).
  Definition relative_weight (t : nat) : R := exp (by_token t - by_token m).
  Definition bracket (t p : nat) : R := c ^ 4 * (wrote M q t p m - wrote M q t p o).

  Lemma scores_apart p : score M x p = by_token (nth p x O) + by_position p.
  Proof.
    rewrite (score_exact M x is_tidy known_query). unfold exponent_at, by_token, by_position. fold c. unfold Rdiv. ring.
  Qed.

  Lemma bracket_is p : bracket (nth p x O) p = alone M x p m - alone M x p o.
  Proof. unfold bracket. rewrite !(alone_exact M x is_tidy known_query) by assumption. fold c. ring. Qed.

  Theorem margin_tables : logit M x o < logit M x m <->
    0 < total (positions M) (contribution x relative_position relative_weight bracket).
  Proof.
    destruct (tidy_parts M is_tidy) as (_ & Hn & _). rewrite margin_sign by assumption.
    set (kappa := exp (by_token m + least)). assert (Hk : 0 < kappa) by apply exp_pos.
    rewrite (total_ext _ _ (fun p => kappa * contribution x relative_position relative_weight bracket p)).
    - rewrite total_scale. set (s := total _ _). split; intros H.
      + apply (Rmult_lt_reg_l kappa); [assumption|]. rewrite Rmult_0_r. assumption.
      + apply Rmult_lt_0_compat; assumption.
    - intros p _. unfold contribution. rewrite bracket_is, scores_apart.
      replace (exp (by_token (nth p x O) + by_position p)) with (kappa * relative_position p * relative_weight (nth p x O)).
      + ring.
      + unfold kappa, relative_position, relative_weight. rewrite <- !exp_plus. f_equal. ring.
  Qed.

  (** Then o never beats the largest token. *)
  Section Safe.
    Variables (k : nat) (lead : R) (b W : nat -> R) (N R_ : R).
    Hypothesis positions_are : positions M = S k.
    Hypothesis few_ : forall p, (p <= k)%nat -> (nth p x O <= m)%nat.
    Hypothesis least_is : forall p, (p < k)%nat -> least <= by_position p.
    Hypothesis leads : forall p, (p <= k)%nat -> lead <= bracket m p.
    Hypothesis brackets : forall t p, (t < m)%nat -> (p <= k)%nat -> b t <= bracket t p.
    Hypothesis weights : forall t, (t < m)%nat -> relative_weight t <= W t.
    Hypothesis N_is_least : N <= 0 /\ forall t, (t < m)%nat -> N <= W t * b t.
    Hypothesis R_is_most : forall p, (p < k)%nat -> relative_position p <= R_.

    Lemma last_token : nth k x O = q.
    Proof. unfold last. rewrite positions_are. reflexivity. Qed.
    Lemma at_least_1 p : (p < k)%nat -> 1 <= relative_position p.
    Proof.
      intros Hp. unfold relative_position. pose proof (least_is p Hp). pose proof (exp_ineq1_le (by_position p - least)). lra.
    Qed.
    Lemma largest_weight : relative_weight m = 1.
    Proof. unfold relative_weight. replace (by_token m - by_token m) with 0 by ring. apply exp_0. Qed.

    Ltac sum_that_decides lemma :=
      apply margin_tables; rewrite positions_are; eapply (lemma k q m x relative_position relative_weight bracket);
      eauto using last_token, at_least_1, largest_weight, exp_pos; try (intros; apply exp_pos).

    Theorem safe_output L : (q < m)%nat -> (exists p, (p < k)%nat /\ nth p x O = m) -> relative_position k <= L ->
      0 < lead + ((INR k - 1) * R_ + L) * N -> logit M x o < logit M x m.
    Proof. intros Hq Hm HL H. sum_that_decides queries_below_the_largest. Qed.

    Theorem safe_output_of_one_query : (q < m)%nat -> (exists p, (p < k)%nat /\ nth p x O = m) ->
      0 < lead + (INR k - 1) * R_ * N + Rmin 0 (relative_position k * W q * b q) -> logit M x o < logit M x m.
    Proof. intros Hq Hm H. sum_that_decides one_query_below_the_largest. Qed.

    Theorem safe_output_of_largest : q = m -> 0 < lead + INR k * R_ / relative_position k * N -> logit M x o < logit M x m.
    Proof. intros Hq H. sum_that_decides largest_as_query. Qed.
  End Safe.
End Network.

(** * Counting: cells of inputs of which all are right do not count as wrong *)
Theorem failing_inputs (good : box -> bool) (right_ : list nat -> bool) (cells : list box) :
  (forall b, In b cells -> good b = true -> forall x, member x b -> right_ x = true) ->
  (sum_over cells (fun b => count b (fun x => negb (right_ x))) <= sum_over (filter (fun b => negb (good b)) cells) size)%Z.
Proof.
  induction cells as [|b cells IH]; intros H; [simpl; lia|]. specialize (IH (fun b' Hb => H b' (or_intror Hb))).
  pose proof (count_both b right_) as HC. pose proof (count_nonneg b right_). cbn [sum_over fold_right filter].
  destruct (good b) eqn:E; cbn [negb sum_over fold_right].
  - rewrite (count_all b right_ (H b (or_introl eq_refl) E)) in HC. unfold sum_over in *. lia.
  - unfold sum_over in *. lia.
Qed.
