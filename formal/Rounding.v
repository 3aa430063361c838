(** What `compactproofs verify` rests on for rounding, and `kernel/enclosure.py` proves in words: errors of float64 sums and
    products of matrices, and radii of intervals, as theorems about real numbers.  No theorem about a model needs this.

    Floats are those of Flocq with 53 bits and gradual underflow, but without a largest one: where something overflows,
    enclosures have an infinite radius, by their invariant. *)
From Coq Require Import Reals ZArith List Arith Lia Lra Psatz.
From Flocq Require Import Core Relative Plus_error.
From CompactProofs Require Import Statement Softmax.
Open Scope R_scope.

Definition u : R := 1 / 9007199254740992. (* 2^-53 *)
Definition tiny : R := bpow radix2 (-1022).
Definition lost : R := / 2 * bpow radix2 (-1074). (* by underflow, where it is gradual *)

Notation format := (generic_format radix2 (FLT_exp (-1074) 53)).
Notation near := (round radix2 (FLT_exp (-1074) 53) ZnearestE).

Local Instance some_precision : Prec_gt_0 53 := eq_refl.

Lemma u_is : u_ro radix2 53 = u.
Proof. unfold u_ro, u. simpl. lra. Qed.

Lemma u_small : 0 < u /\ 1048576 * u < / 1000.
Proof. unfold u. lra. Qed.

(** * One operation *)

(** The error is small beside what was computed; sums never underflow. *)
Theorem rounded_sum x y : format x -> format y -> Rabs (near (x + y) - (x + y)) <= u * Rabs (near (x + y)).
Proof.
  intros Hx Hy. destruct (FLT_plus_error_N_round_ex radix2 (-1074) 53 (fun z => negb (Z.even z)) x y Hx Hy) as (d & Hd & E).
  rewrite u_is in Hd. change (round radix2 (FLT_exp (-1074) 53) (Znearest (fun z => negb (Z.even z))) (x + y)) with (near (x + y)) in E.
  rewrite E at 2. replace (near (x + y) - near (x + y) * (1 + d)) with (- (d * near (x + y))) by ring.
  rewrite Rabs_Ropp, Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos|exact Hd].
Qed.

Lemma sum_factor x y : format x -> format y -> exists d, Rabs d <= u /\ near (x + y) = (x + y) * (1 + d).
Proof.
  intros Hx Hy. destruct (FLT_plus_error_N_ex radix2 (-1074) 53 (fun z => negb (Z.even z)) x y Hx Hy) as (d & Hd & E).
  exists d. split; [|exact E]. eapply Rle_trans; [exact Hd|]. rewrite <- u_is. apply (u_rod1pu_ro_le_u_ro radix2 53).
Qed.

(** Any result of a product, a quotient, a root: rounded, with what underflow loses. *)
Theorem rounded x : Rabs (near x - x) <= u * Rabs (near x) + lost.
Proof.
  destruct (relative_error_N_FLT'_ex radix2 (-1074) 53 eq_refl (fun z => negb (Z.even z)) x) as (d & e & Hd & He & Hde & E).
  change (round radix2 (FLT_exp (-1074) 53) (Znearest (fun z => negb (Z.even z))) x) with (near x) in E. rewrite u_is in Hd.
  fold lost in He. pose proof u_small as Hu. pose proof (Rabs_pos (near x)) as Hn. pose proof (Rabs_pos e).
  apply Rmult_integral in Hde as [-> | ->].
  - replace (near x - x) with e by lra. assert (0 <= u * Rabs (near x)) by (apply Rmult_le_pos; lra). lra.
  - rewrite Rplus_0_r in E. assert (Hdu : Rabs d * (1 + u) <= u).
    { apply (Rmult_le_compat_r (1 + u)) in Hd; [|lra]. unfold Rdiv in Hd. rewrite Rmult_assoc, Rinv_l in Hd; lra. }
    replace (near x - x) with (d * x) by lra. rewrite E, !Rabs_mult. pose proof (Rabs_pos x). pose proof (Rabs_pos d).
    assert (1 - Rabs d <= Rabs (1 + d)) by (unfold Rabs; repeat destruct Rcase_abs; lra).
    assert (Rabs d * Rabs x <= u * (Rabs x * Rabs (1 + d))).
    { apply Rle_trans with (u * (1 - Rabs d) * Rabs x); [apply Rmult_le_compat_r; lra|].
      rewrite Rmult_assoc. apply Rmult_le_compat_l; [lra|]. rewrite Rmult_comm. apply Rmult_le_compat_l; lra. }
    assert (0 <= lost) by (unfold lost; pose proof (bpow_ge_0 radix2 (-1074)); lra). lra.
Qed.

(** * Sums of many terms, in any order *)

Definition gamma (n : nat) : R := INR n * u / (1 - INR n * u).

Lemma pow_gamma n : (1 + u) ^ n * (1 - INR n * u) <= 1.
Proof.
  induction n as [|n IH]; [simpl; lra|]. rewrite S_INR. pose proof u_small as Hu. pose proof (pos_INR n).
  assert (0 < (1 + u) ^ n) by (apply pow_lt; lra). change ((1 + u) ^ S n) with ((1 + u) * (1 + u) ^ n).
  apply Rle_trans with ((1 + u) ^ n * (1 - INR n * u)); [|exact IH].
  rewrite (Rmult_comm (1 + u)), Rmult_assoc. apply Rmult_le_compat_l; [lra|].
  assert (0 <= (INR n + 1) * (u * u)) by (apply Rmult_le_pos; [lra|apply Rmult_le_pos; lra]). lra.
Qed.

Lemma factors_gamma n : INR n * u < 1 -> (1 + u) ^ n - 1 <= gamma n.
Proof.
  intros Hn. pose proof (pow_gamma n). unfold gamma. apply (Rmult_le_reg_r (1 - INR n * u)); [lra|].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra.
Qed.

Lemma pow_more x m n : 0 <= x -> (m <= n)%nat -> (1 + x) ^ m <= (1 + x) ^ n.
Proof. intros Hx H. apply Rle_pow; [lra|exact H]. Qed.

(** What a sum adds, and in which order *)
Inductive order := One (x : R) | Sum (first second : order).
Fixpoint real (t : order) : R := match t with One x => x | Sum a b => real a + real b end.
Fixpoint floating (t : order) : R := match t with One x => x | Sum a b => near (floating a + floating b) end.
Fixpoint sizes (t : order) : R := match t with One x => Rabs x | Sum a b => sizes a + sizes b end.
Fixpoint terms (t : order) : nat := match t with One _ => 1%nat | Sum a b => (terms a + terms b)%nat end.
Fixpoint floats (t : order) : Prop := match t with One x => format x | Sum a b => floats a /\ floats b end.

Lemma floating_format t : floats t -> format (floating t).
Proof.
  destruct t as [x|a b]; simpl; [trivial|]. intros _. apply generic_format_round; typeclasses eauto.
Qed.

Lemma sizes_real t : Rabs (real t) <= sizes t.
Proof. induction t as [x|a IHa b IHb]; simpl; [lra|]. pose proof (Rabs_triang (real a) (real b)). lra. Qed.

Lemma terms_positive t : (1 <= terms t)%nat.
Proof. induction t; simpl; lia. Qed.

Theorem sum_in_any_order t : floats t -> Rabs (floating t - real t) <= ((1 + u) ^ (Nat.pred (terms t)) - 1) * sizes t.
Proof.
  induction t as [x|a IHa b IHb]; simpl; intros H; [replace (x - x) with 0 by ring; rewrite Rabs_R0; lra|].
  destruct H as [Ha Hb]. specialize (IHa Ha). specialize (IHb Hb). pose proof u_small as Hu.
  destruct (sum_factor _ _ (floating_format a Ha) (floating_format b Hb)) as (d & Hd & ->).
  pose proof (terms_positive a). pose proof (terms_positive b). set (n := Nat.pred (Nat.pred (terms a + terms b))).
  replace (Nat.pred (terms a + terms b)) with (S n) by (unfold n; lia).
  pose proof (pow_more u (Nat.pred (terms a)) n ltac:(lra) ltac:(unfold n; lia)) as Pa.
  pose proof (pow_more u (Nat.pred (terms b)) n ltac:(lra) ltac:(unfold n; lia)) as Pb.
  pose proof (sizes_real a) as Sa. pose proof (sizes_real b) as Sb. pose proof (Rabs_pos (real a)). pose proof (Rabs_pos (real b)).
  assert (Ea : Rabs (floating a - real a) <= ((1 + u) ^ n - 1) * sizes a).
  { eapply Rle_trans; [exact IHa|]. apply Rmult_le_compat_r; lra. }
  assert (Eb : Rabs (floating b - real b) <= ((1 + u) ^ n - 1) * sizes b).
  { eapply Rle_trans; [exact IHb|]. apply Rmult_le_compat_r; lra. }
  replace ((floating a + floating b) * (1 + d) - (real a + real b)) with
    ((floating a - real a + (floating b - real b)) * (1 + d) + (real a + real b) * d) by ring.
  eapply Rle_trans; [apply Rabs_triang|]. rewrite !Rabs_mult.
  pose proof (Rabs_triang (floating a - real a) (floating b - real b)) as T1. pose proof (Rabs_triang (real a) (real b)) as T2.
  assert (D1 : Rabs (1 + d) <= 1 + u) by (eapply Rle_trans; [apply Rabs_triang|]; rewrite Rabs_R1; lra).
  pose proof (Rabs_pos (floating a - real a + (floating b - real b))). pose proof (Rabs_pos (real a + real b)). pose proof (Rabs_pos (1 + d)). pose proof (Rabs_pos d).
  apply Rle_trans with ((((1 + u) ^ n - 1) * sizes a + ((1 + u) ^ n - 1) * sizes b) * (1 + u) + (sizes a + sizes b) * u).
  - apply Rplus_le_compat; apply Rmult_le_compat; lra.
  - simpl. apply Req_le. ring.
Qed.

Theorem sum_gamma t : floats t -> INR (terms t) * u < 1 -> Rabs (floating t - real t) <= gamma (terms t) * sizes t.
Proof.
  intros H Hn. eapply Rle_trans; [apply sum_in_any_order, H|]. pose proof u_small. apply Rmult_le_compat_r.
  - pose proof (sizes_real t). pose proof (Rabs_pos (real t)). lra.
  - pose proof (factors_gamma _ Hn). pose proof (pow_more u (Nat.pred (terms t)) (terms t) ltac:(lra) ltac:(lia)). lra.
Qed.

(** The number that the program takes for gamma is not too small: (n + 2) u (1 + 2^-30), of which only the last product
    is rounded. *)
Theorem gamma_computed n : INR n < 1048576 -> gamma n <= (INR n + 2) * u * (1 + / 1073741824) * (1 - u).
Proof.
  intros H. pose proof (pos_INR n) as H0. set (x := INR n) in *. pose proof u_small as Hu.
  assert (Hx : x * u <= 1048576 * u) by (apply Rmult_le_compat_r; lra). unfold gamma. fold x.
  apply (Rmult_le_reg_r (1 - x * u)); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  assert (Hc : 1 <= (1 + / 1073741824) * (1 - u) * (1 - x * u)).
  { apply Rle_trans with ((1 + / 1073741824) * (1 - u) * (1 - 1048576 * u)); [unfold u; lra|].
    apply Rmult_le_compat_l; [unfold u; lra|lra]. }
  apply Rle_trans with (x * u * ((1 + / 1073741824) * (1 - u) * (1 - x * u))).
  - rewrite <- (Rmult_1_r (x * u)) at 1. apply Rmult_le_compat_l; [apply Rmult_le_pos; lra|exact Hc].
  - apply Rle_trans with ((x + 2) * u * ((1 + / 1073741824) * (1 - u) * (1 - x * u))); [|apply Req_le; ring].
    apply Rmult_le_compat_r; [lra|]. apply Rmult_le_compat_r; lra.
Qed.

(** * Products of matrices, one entry

    Nothing is assumed but that each operation multiplies its real result by 1 + d and changes it by e; a factor that is
    subnormal may have been read as 0.  A product that is rounded is a step with nothing; one in a fused multiply-add is
    a term of a step. *)

Inductive work :=
  | Nothing
  | Term (a b a' b' : R) (* the factors, and as what they were read *)
  | Step (first second : work) (d e : R).

Definition read (a a' : R) : Prop := a' = a \/ (a' = 0 /\ Rabs a <= tiny).

Fixpoint over (f : R -> R -> R -> R -> R) (w : work) : R :=
  match w with Nothing => 0 | Term a b a' b' => f a b a' b' | Step v w _ _ => over f v + over f w end.
Definition product : work -> R := over (fun a b _ _ => a * b).
Definition product_read : work -> R := over (fun _ _ a b => a * b).
Definition size : work -> R := over (fun a b _ _ => Rabs (a * b)).
Definition size_read : work -> R := over (fun _ _ a b => Rabs (a * b)).
Definition factors : work -> R := over (fun a b _ _ => Rabs a + Rabs b).
Fixpoint computed (w : work) : R :=
  match w with Nothing => 0 | Term _ _ a b => a * b | Step v w d e => (computed v + computed w) * (1 + d) + e end.
(** In how many results with d other than 0 a term is, at most; and how many changes by e there are *)
Fixpoint depth (w : work) : nat :=
  match w with Step v w d _ => ((if Req_EM_T d 0 then 0 else 1) + Nat.max (depth v) (depth w))%nat | _ => O end.
Fixpoint steps (w : work) : nat := match w with Step v w _ _ => S (steps v + steps w) | _ => O end.
Fixpoint sound (w : work) : Prop :=
  match w with
  | Nothing => True
  | Term a b a' b' => read a a' /\ read b b'
  | Step v w d e => Rabs d <= 2 * u /\ Rabs e <= tiny /\ sound v /\ sound w
  end.

Lemma tiny_positive : 0 < tiny.
Proof. apply bpow_gt_0. Qed.

Lemma term_read a b a' b' : read a a' -> read b b' ->
  Rabs (a' * b' - a * b) <= tiny * (Rabs a + Rabs b) /\ Rabs (a' * b') <= Rabs (a * b).
Proof.
  pose proof tiny_positive. pose proof (Rabs_pos a). pose proof (Rabs_pos b). pose proof (Rabs_pos (a * b)).
  intros [-> |[-> Ha]] [-> |[-> Hb]].
  - replace (a * b - a * b) with 0 by ring. rewrite Rabs_R0. split; nra.
  - replace (a * 0 - a * b) with (- (a * b)) by ring. rewrite Rmult_0_r, Rabs_R0, Rabs_Ropp, Rabs_mult. split; nra.
  - replace (0 * b - a * b) with (- (a * b)) by ring. rewrite Rmult_0_l, Rabs_R0, Rabs_Ropp, Rabs_mult. split; nra.
  - replace (0 * 0 - a * b) with (- (a * b)) by ring. rewrite Rmult_0_l, Rabs_R0, Rabs_Ropp, Rabs_mult. split; nra.
Qed.

Lemma work_read w : sound w -> Rabs (product_read w - product w) <= tiny * factors w /\ size_read w <= size w.
Proof.
  unfold product_read, product, size_read, size, factors.
  induction w as [|a b a' b'|v IHv w IHw d e]; simpl; intros H.
  - replace (0 - 0) with 0 by ring. rewrite Rabs_R0. lra.
  - apply term_read; apply H.
  - destruct H as (_ & _ & Hv & Hw). destruct (IHv Hv) as [A1 A2], (IHw Hw) as [B1 B2]. split; [|lra].
    match goal with |- Rabs (?a + ?b - (?c + ?d)) <= _ => replace (a + b - (c + d)) with ((a - c) + (b - d)) by ring end.
    eapply Rle_trans; [apply Rabs_triang|]. lra.
Qed.

Lemma size_product w : Rabs (product_read w) <= size_read w.
Proof.
  unfold product_read, size_read. induction w as [|a b a' b'|v IHv w IHw d e]; simpl; [rewrite Rabs_R0; lra|lra|].
  eapply Rle_trans; [apply Rabs_triang|]. lra.
Qed.

Lemma work_error w : sound w -> Rabs (computed w - product_read w) <=
  ((1 + 2 * u) ^ depth w - 1) * size_read w + (1 + 2 * u) ^ depth w * (INR (steps w) * tiny).
Proof.
  pose proof u_small as Hu. pose proof tiny_positive as Ht.
  induction w as [|a b a' b'|v IHv w IHw d e]; intros H.
  - cbn. replace (0 - 0) with 0 by ring. rewrite Rabs_R0. lra.
  - cbn. replace (a' * b' - a' * b') with 0 by ring. rewrite Rabs_R0. lra.
  - cbn [sound] in H. destruct H as (Hd & He & Hv & Hw). specialize (IHv Hv). specialize (IHw Hw).
    set (n := Nat.max (depth v) (depth w)).
    pose proof (pow_more (2 * u) (depth v) n ltac:(lra) ltac:(unfold n; lia)) as Pv.
    pose proof (pow_more (2 * u) (depth w) n ltac:(lra) ltac:(unfold n; lia)) as Pw.
    pose proof (size_product v) as Sv. pose proof (size_product w) as Sw.
    pose proof (Rabs_pos (product_read v)). pose proof (Rabs_pos (product_read w)).
    pose proof (pos_INR (steps v)) as Nv. pose proof (pos_INR (steps w)) as Nw.
    change (computed (Step v w d e)) with ((computed v + computed w) * (1 + d) + e).
    change (product_read (Step v w d e)) with (product_read v + product_read w).
    change (size_read (Step v w d e)) with (size_read v + size_read w).
    change (depth (Step v w d e)) with ((if Req_EM_T d 0 then 0 else 1) + n)%nat.
    change (steps (Step v w d e)) with (S (steps v + steps w)). rewrite S_INR, plus_INR.
    set (P := (1 + 2 * u) ^ n) in *. assert (HP : 1 <= P) by (unfold P; apply pow_R1_Rle; lra).
    set (X := computed v - product_read v) in *. set (Y := computed w - product_read w) in *.
    assert (E1 : Rabs (X + Y) <= (P - 1) * (size_read v + size_read w) + P * ((INR (steps v) + INR (steps w)) * tiny)).
    { eapply Rle_trans; [apply Rabs_triang|].
      assert ((1 + 2 * u) ^ depth v * (INR (steps v) * tiny) <= P * (INR (steps v) * tiny))
        by (apply Rmult_le_compat_r; [apply Rmult_le_pos; lra|exact Pv]).
      assert ((1 + 2 * u) ^ depth w * (INR (steps w) * tiny) <= P * (INR (steps w) * tiny))
        by (apply Rmult_le_compat_r; [apply Rmult_le_pos; lra|exact Pw]).
      assert (((1 + 2 * u) ^ depth v - 1) * size_read v <= (P - 1) * size_read v) by (apply Rmult_le_compat_r; lra).
      assert (((1 + 2 * u) ^ depth w - 1) * size_read w <= (P - 1) * size_read w) by (apply Rmult_le_compat_r; lra). lra. }
    set (s := size_read v + size_read w) in *. set (N := INR (steps v) + INR (steps w)) in *.
    assert (Hs : Rabs (product_read v + product_read w) <= s) by (eapply Rle_trans; [apply Rabs_triang|]; unfold s; lra).
    replace ((computed v + computed w) * (1 + d) + e - (product_read v + product_read w)) with
      ((X + Y) * (1 + d) + ((product_read v + product_read w) * d + e)) by (unfold X, Y; ring).
    eapply Rle_trans; [apply Rabs_triang|]. eapply Rle_trans; [apply Rplus_le_compat_l, Rabs_triang|]. rewrite !Rabs_mult.
    pose proof (Rabs_pos (X + Y)). pose proof (Rabs_pos (product_read v + product_read w)). pose proof (Rabs_pos d).
    assert (HN : 0 <= N * tiny) by (apply Rmult_le_pos; unfold N; lra).
    destruct (Req_EM_T d 0) as [-> |_].
    + rewrite Rplus_0_r, Rabs_R1, Rabs_R0. cbn [Nat.add]. fold P. assert (tiny <= P * tiny) by (rewrite <- (Rmult_1_l tiny) at 1; apply Rmult_le_compat_r; lra). lra.
    + assert (D1 : Rabs (1 + d) <= 1 + 2 * u) by (eapply Rle_trans; [apply Rabs_triang|]; rewrite Rabs_R1; lra).
      pose proof (Rabs_pos (1 + d)). change ((1 + 2 * u) ^ (1 + n)) with ((1 + 2 * u) * P).
      apply Rle_trans with (((P - 1) * s + P * (N * tiny)) * (1 + 2 * u) + (s * (2 * u) + tiny)).
      2:{ assert (tiny <= (1 + 2 * u) * P * tiny); [|lra]. rewrite <- (Rmult_1_l tiny) at 1.
          apply Rmult_le_compat_r; [lra|]. rewrite <- (Rmult_1_l 1). apply Rmult_le_compat; lra. }
      apply Rplus_le_compat; [apply Rmult_le_compat; lra|]. apply Rplus_le_compat; [apply Rmult_le_compat; lra|lra].
Qed.

(** The lemma on products of matrices *)
Theorem product_of_matrices n w : sound w -> (depth w <= n)%nat -> (steps w <= 7 * n)%nat -> INR (2 * n) < 1048576 ->
  Rabs (computed w - product w) <= gamma (2 * n) * size w + tiny * factors w + 8 * INR n * tiny.
Proof.
  intros H Hd Hs Hx. pose proof u_small as Hu. pose proof tiny_positive as Ht.
  destruct (work_read w H) as [R1 R2]. pose proof (work_error w H) as E.
  assert (Hxu : INR (2 * n) * u <= / 1000) by (apply Rle_trans with (1048576 * u); [apply Rmult_le_compat_r; lra|lra]).
  assert (HP : (1 + 2 * u) ^ depth w <= (1 + u) ^ (2 * n)).
  { eapply Rle_trans; [apply (pow_more (2 * u)); [lra|exact Hd]|]. rewrite pow_mult. apply pow_incr. simpl. nra. }
  pose proof (factors_gamma (2 * n) ltac:(lra)) as G.
  assert (Hg : gamma (2 * n) <= / 7).
  { unfold gamma. apply (Rmult_le_reg_r (1 - INR (2 * n) * u)); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
  pose proof (size_product w) as S. pose proof (Rabs_pos (product_read w)).
  apply le_INR in Hs. rewrite mult_INR in Hs. replace (INR 7) with 7 in Hs by (simpl; lra).
  replace (computed w - product w) with ((computed w - product_read w) + (product_read w - product w)) by ring.
  eapply Rle_trans; [apply Rabs_triang|]. set (P := (1 + 2 * u) ^ depth w) in *.
  assert (HP1 : 1 <= P) by (apply pow_R1_Rle; lra). pose proof (pos_INR (steps w)). pose proof (pos_INR n).
  assert ((P - 1) * size_read w <= gamma (2 * n) * size w) by (apply Rmult_le_compat; lra).
  assert (P * (INR (steps w) * tiny) <= 8 / 7 * (7 * INR n * tiny)).
  { apply Rmult_le_compat; [lra|apply Rmult_le_pos; lra|lra|apply Rmult_le_compat_r; lra]. }
  lra.
Qed.

(** * Intervals: midpoint and radius *)
Definition within (x m r : R) : Prop := Rabs (x - m) <= r.

Lemma radius_nonneg x m r : within x m r -> 0 <= r.
Proof. unfold within. pose proof (Rabs_pos (x - m)). lra. Qed.

Lemma within_more x m r m' s : within x m r -> Rabs (m' - m) <= s -> within x m' (r + s).
Proof.
  unfold within. intros H1 H2. replace (x - m') with ((x - m) + - (m' - m)) by ring.
  eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp. lra.
Qed.

Theorem sum_within x a r y b s : within x a r -> within y b s -> within (x + y) (a + b) (r + s).
Proof.
  unfold within. intros. replace (x + y - (a + b)) with ((x - a) + (y - b)) by ring.
  eapply Rle_trans; [apply Rabs_triang|]. lra.
Qed.

Theorem product_within x a r y b s : within x a r -> within y b s ->
  within (x * y) (a * b) (Rabs a * s + r * (Rabs b + s)).
Proof.
  intros Hx Hy. pose proof (radius_nonneg _ _ _ Hx). pose proof (radius_nonneg _ _ _ Hy). unfold within in *.
  replace (x * y - a * b) with (a * (y - b) + (x - a) * y) by ring. eapply Rle_trans; [apply Rabs_triang|]. rewrite !Rabs_mult.
  assert (Rabs y <= Rabs b + s).
  { replace y with (b + (y - b)) at 1 by ring. eapply Rle_trans; [apply Rabs_triang|]. lra. }
  pose proof (Rabs_pos a). pose proof (Rabs_pos y). pose proof (Rabs_pos (x - a)).
  apply Rplus_le_compat; [apply Rmult_le_compat_l; lra|apply Rmult_le_compat; lra].
Qed.

Theorem quotient_within x a r y b s : within x a r -> within y b s -> s < Rabs b ->
  within (x / y) (a / b) ((r + Rabs (a / b) * s) / (Rabs b - s)).
Proof.
  intros Hx Hy Hs. pose proof (radius_nonneg _ _ _ Hx). pose proof (radius_nonneg _ _ _ Hy). unfold within in *.
  assert (Hyb : Rabs b - s <= Rabs y).
  { pose proof (Rabs_triang y (- (y - b))) as T. replace (y + - (y - b)) with b in T by ring. rewrite Rabs_Ropp in T. lra. }
  assert (Hb : b <> 0) by (intros ->; rewrite Rabs_R0 in Hs; lra).
  assert (Hy0 : y <> 0) by (intros E; rewrite E, Rabs_R0 in Hyb; lra).
  replace (x / y - a / b) with (((x - a) - a / b * (y - b)) / y) by (field; split; assumption).
  unfold Rdiv at 1 3. rewrite Rabs_mult, Rabs_inv. apply Rmult_le_compat.
  - apply Rabs_pos.
  - apply Rlt_le, Rinv_0_lt_compat, Rabs_pos_lt, Hy0.
  - unfold Rminus at 1. eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp, Rabs_mult.
    apply Rplus_le_compat; [assumption|]. apply Rmult_le_compat_l; [apply Rabs_pos|assumption].
  - apply Rinv_le; lra.
Qed.

Theorem root_within x a r : 0 <= x -> 0 < a -> within x a r -> within (sqrt x) (sqrt a) (r / sqrt a).
Proof.
  unfold within. intros Hx Ha H. pose proof (sqrt_lt_R0 a Ha) as Hs. pose proof (sqrt_pos x) as H0.
  apply (Rmult_le_reg_r (sqrt a)); [assumption|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  eapply Rle_trans; [|exact H]. replace (x - a) with ((sqrt x - sqrt a) * (sqrt x + sqrt a)).
  - rewrite Rabs_mult. apply Rmult_le_compat_l; [apply Rabs_pos|]. rewrite Rabs_pos_eq; lra.
  - pose proof (sqrt_sqrt x Hx). pose proof (sqrt_sqrt a (Rlt_le _ _ Ha)). nra.
Qed.

Theorem root_far x a r : 0 <= x -> within x a r -> within (sqrt x) (sqrt (Rmax a 0)) (sqrt (Rmax a 0 + r)).
Proof.
  intros Hx H. pose proof (radius_nonneg _ _ _ H). unfold within in *. pose proof (Rmax_l a 0). pose proof (Rmax_r a 0).
  assert (x <= Rmax a 0 + r) by (revert H; unfold Rabs; destruct Rcase_abs; lra).
  pose proof (sqrt_le_1 x (Rmax a 0 + r) ltac:(lra) ltac:(lra) ltac:(lra)).
  pose proof (sqrt_le_1 (Rmax a 0) (Rmax a 0 + r) ltac:(lra) ltac:(lra) ltac:(lra)).
  pose proof (sqrt_pos x). pose proof (sqrt_pos (Rmax a 0)). unfold Rabs; destruct Rcase_abs; lra.
Qed.

(** exp r <= 1 + r + r^2 for 0 <= r <= 1, since exp (-r / 8) >= 1 - r / 8 *)
Lemma exp_quadratic r : 0 <= r <= 1 -> exp r - 1 <= r * (1 + r).
Proof.
  intros Hr. assert (E : exp r * exp (- r / 8) ^ 8 = 1).
  { rewrite <- exp_0. replace 0 with (r + (- r / 8 + (- r / 8 + (- r / 8 + (- r / 8 + (- r / 8 + (- r / 8 + (- r / 8 + (- r / 8)))))))))
      by field. rewrite !exp_plus. ring. }
  pose proof (exp_pos r) as Hp. pose proof (exp_ineq1_le (- r / 8)) as H8.
  assert (H1 : (1 - r / 8) ^ 8 <= exp (- r / 8) ^ 8) by (apply pow_incr; lra).
  set (s := 1 - r). assert (Hs : 0 <= s <= 1) by (unfold s; lra).
  assert (Q : 1 <= (1 + r + r ^ 2) * (1 - r / 8) ^ 8).
  { assert (I : (1 + r + r ^ 2) * (1 - r / 8) ^ 8 = 1 + r ^ 2 * (
      (7 / 16 - 43 / 64 + 707 / 2048 - 385 / 4096) + s * (43 / 64 - 2 * (707 / 2048) + 3 * (385 / 4096)) +
      s ^ 2 * (707 / 2048 - 3 * (385 / 4096)) + s ^ 3 * (385 / 4096) +
      r ^ 4 * (1015 / 65536 - 421 / 262144 * r) + r ^ 6 * (1729 / 16777216 - 63 / 16777216 * r) + r ^ 8 / 16777216)).
    { unfold s. field. }
    rewrite I. pose proof (pow_le r 2 (proj1 Hr)). pose proof (pow_le r 4 (proj1 Hr)). pose proof (pow_le r 6 (proj1 Hr)).
    pose proof (pow_le r 8 (proj1 Hr)). pose proof (pow_le s 2 (proj1 Hs)). pose proof (pow_le s 3 (proj1 Hs)).
    assert (0 <= r ^ 4 * (1015 / 65536 - 421 / 262144 * r)) by (apply Rmult_le_pos; lra).
    assert (0 <= r ^ 6 * (1729 / 16777216 - 63 / 16777216 * r)) by (apply Rmult_le_pos; lra).
    match goal with |- 1 <= 1 + r ^ 2 * ?q => assert (0 <= q); [|assert (0 <= r ^ 2 * q) by (apply Rmult_le_pos; assumption); lra] end.
    lra. }
  assert (H2 : exp r * (1 - r / 8) ^ 8 <= 1) by (apply Rle_trans with (exp r * exp (- r / 8) ^ 8); [apply Rmult_le_compat_l; lra|lra]).
  assert (H3 : 0 < (1 - r / 8) ^ 8) by (apply pow_lt; lra).
  assert (exp r <= 1 + r + r ^ 2); [|nra]. apply (Rmult_le_reg_r ((1 - r / 8) ^ 8)); [assumption|lra].
Qed.

(** e: what was computed for exp a, with an error of at most k e + l *)
Theorem exponential_within x a r e k l : within x a r -> r <= 1 -> 0 <= e -> 0 <= k -> 0 <= l ->
  Rabs (exp a - e) <= k * e + l -> within (exp x) e ((e * (1 + k) + l) * (r * (1 + r)) + (k * e + l)).
Proof.
  intros Hx Hr He Hk Hl H. pose proof (radius_nonneg _ _ _ Hx) as H0. unfold within in *.
  replace (exp x - e) with (exp a * (exp (x - a) - 1) + (exp a - e)).
  - eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat; [|exact H]. rewrite Rabs_mult.
    pose proof (exp_pos a). pose proof (exp_quadratic r (conj H0 Hr)) as Q.
    apply Rmult_le_compat; try apply Rabs_pos.
    + rewrite Rabs_pos_eq by lra. revert H. unfold Rabs. destruct Rcase_abs; lra.
    + set (y := x - a) in *. assert (Hy : - r <= y <= r) by (revert Hx; unfold Rabs; destruct Rcase_abs; lra).
      assert (exp y <= exp r) by (destruct (Req_dec y r) as [->|]; [lra|apply Rlt_le, exp_increasing; lra]).
      pose proof (exp_ineq1_le y). unfold Rabs. destruct Rcase_abs; nra.
  - replace (exp x) with (exp a * exp (x - a)) by (rewrite <- exp_plus; f_equal; ring). ring.
Qed.

(** Of the larger of two, the radius is that of the larger midpoint, or what the other may exceed it by. *)
Theorem larger_within x a r y b s : within x a r -> within y b s ->
  within (Rmax x y) (Rmax a b) (Rmax (r + (a - Rmax a b)) (s + (b - Rmax a b))).
Proof.
  unfold within. intros Hx Hy.
  assert (- r <= x - a <= r) by (revert Hx; unfold Rabs; destruct Rcase_abs; lra).
  assert (- s <= y - b <= s) by (revert Hy; unfold Rabs; destruct Rcase_abs; lra).
  unfold Rmax. repeat destruct Rle_dec; unfold Rabs; destruct Rcase_abs; lra.
Qed.

(** An entry of a product of matrices *)
Theorem dot_within n x a r y b s : (forall i, (i < n)%nat -> within (x i) (a i) (r i)) ->
  (forall i, (i < n)%nat -> within (y i) (b i) (s i)) ->
  within (total n (fun i => x i * y i)) (total n (fun i => a i * b i))
    (total n (fun i => Rabs (a i) * s i) + total n (fun i => r i * (Rabs (b i) + s i))).
Proof.
  rewrite <- total_add. induction n as [|n IH]; intros Hx Hy; simpl; [unfold within; rewrite Rminus_0_r, Rabs_R0; lra|].
  apply sum_within; [apply IH; intros; [apply Hx|apply Hy]; lia|]. apply product_within; [apply Hx|apply Hy]; lia.
Qed.

(** What decides: the midpoint is larger than the radius, or than a multiple of it. *)
Theorem positive x m r : within x m r -> r < m -> 0 < x.
Proof. unfold within, Rabs. destruct Rcase_abs; lra. Qed.

Theorem certainly_positive x m r doubt : within x m r -> 1 <= doubt -> doubt * r < m -> 0 < x.
Proof. intros H Hd Hm. pose proof (radius_nonneg _ _ _ H). apply (positive x m r H). nra. Qed.

(** * What is computed for sums and products of intervals *)
Theorem add_within x a r y b s : format a -> format b -> within x a r -> within y b s ->
  within (x + y) (near (a + b)) (r + s + u * Rabs (near (a + b))).
Proof. intros Fa Fb Hx Hy. apply within_more with (a + b); [apply sum_within; assumption|apply rounded_sum; assumption]. Qed.

Theorem multiply_within x a r y b s : within x a r -> within y b s ->
  within (x * y) (near (a * b)) (Rabs a * s + r * (Rabs b + s) + (u * Rabs (near (a * b)) + lost)).
Proof. intros Hx Hy. apply within_more with (a * b); [apply product_within; assumption|apply rounded]. Qed.

Theorem sum_of_many x r t : floats t -> INR (terms t) * u < 1 -> within x (real t) r ->
  within x (floating t) (r + gamma (terms t) * sizes t).
Proof. intros F Hn H. apply within_more with (real t); [assumption|apply sum_gamma; assumption]. Qed.

(** * How radii are rounded *)

(** A radius, as a formula of numbers that are not negative; each operation is off by a factor 1 + d. *)
Inductive radius := Given (x : R) | Plus (a b : radius) (d : R) | Times (a b : radius) (d : R).
Fixpoint meant (f : radius) : R :=
  match f with Given x => x | Plus a b _ => meant a + meant b | Times a b _ => meant a * meant b end.
Fixpoint got (f : radius) : R :=
  match f with Given x => x | Plus a b d => (got a + got b) * (1 + d) | Times a b d => got a * got b * (1 + d) end.
Fixpoint roundings (f : radius) : nat :=
  match f with Given _ => O | Plus a b _ | Times a b _ => S (roundings a + roundings b) end.
Fixpoint plain (f : radius) : Prop :=
  match f with Given x => 0 <= x | Plus a b d | Times a b d => Rabs d <= u /\ plain a /\ plain b end.

Lemma got_enough f : plain f -> 0 <= meant f /\ (1 - u) ^ roundings f * meant f <= got f.
Proof.
  pose proof u_small as Hu.
  assert (W : forall m n, (m <= n)%nat -> 0 < (1 - u) ^ n <= (1 - u) ^ m).
  { intros m n H. split; [apply pow_lt; lra|]. replace n with (m + (n - m))%nat by lia. rewrite pow_add.
    assert (0 < (1 - u) ^ m) by (apply pow_lt; lra). assert ((1 - u) ^ (n - m) <= 1); [|nra].
    apply Rle_trans with (1 ^ (n - m)); [apply pow_incr; lra|rewrite pow1; lra]. }
  induction f as [x|a IHa b IHb d|a IHa b IHb d]; simpl; intros H; [lra| |];
    destruct H as (Hd & Ha & Hb); destruct (IHa Ha) as [A1 A2], (IHb Hb) as [B1 B2];
    (assert (D : 1 - u <= 1 + d) by (revert Hd; unfold Rabs; destruct Rcase_abs; lra)).
  - split; [lra|]. destruct (W (roundings a) (roundings a + roundings b)%nat ltac:(lia)) as [_ Wa].
    destruct (W (roundings b) (roundings a + roundings b)%nat ltac:(lia)) as [W0 Wb].
    set (p := (1 - u) ^ (roundings a + roundings b)) in *.
    assert (p * meant a <= got a) by (eapply Rle_trans; [apply Rmult_le_compat_r; [exact A1|exact Wa]|exact A2]).
    assert (p * meant b <= got b) by (eapply Rle_trans; [apply Rmult_le_compat_r; [exact B1|exact Wb]|exact B2]).
    assert (0 <= p * meant a) by (apply Rmult_le_pos; lra). assert (0 <= p * meant b) by (apply Rmult_le_pos; lra).
    apply Rle_trans with ((got a + got b) * (1 - u)); [|apply Rmult_le_compat_l; lra].
    apply Rle_trans with ((p * meant a + p * meant b) * (1 - u)); [lra|apply Rmult_le_compat_r; lra].
  - split; [apply Rmult_le_pos; assumption|]. rewrite pow_add.
    destruct (W O (roundings a) ltac:(lia)) as [Wa _]. destruct (W O (roundings b) ltac:(lia)) as [Wb _].
    set (p := (1 - u) ^ roundings a) in *. set (q := (1 - u) ^ roundings b) in *.
    assert (0 <= p * meant a) by (apply Rmult_le_pos; lra). assert (0 <= q * meant b) by (apply Rmult_le_pos; lra).
    assert (p * meant a * (q * meant b) <= got a * got b) by (apply Rmult_le_compat; lra).
    assert (0 <= p * meant a * (q * meant b)) by (apply Rmult_le_pos; assumption).
    apply Rle_trans with (got a * got b * (1 - u)); [|apply Rmult_le_compat_l; lra].
    apply Rle_trans with (p * meant a * (q * meant b) * (1 - u)); [lra|apply Rmult_le_compat_r; lra].
Qed.

Lemma bernoulli n : 1 - INR n * u <= (1 - u) ^ n.
Proof.
  pose proof u_small. induction n as [|n IH]; [simpl; lra|]. rewrite S_INR. simpl. pose proof (pos_INR n). nra.
Qed.

(** UP = 1 + 2^-48 makes up for 30 roundings. *)
Theorem radius_restored f : plain f -> (roundings f <= 30)%nat -> meant f <= got f * (1 + 1 / 281474976710656).
Proof.
  intros H Hn. destruct (got_enough f H) as [H0 H1]. pose proof (bernoulli (roundings f)) as B. pose proof u_small as Hu.
  apply le_INR in Hn. replace (INR 30) with 30 in Hn by (rewrite INR_IZR_INZ; reflexivity).
  assert (INR (roundings f) * u <= 30 * u) by (apply Rmult_le_compat_r; lra).
  assert (B30 : 1 - 30 * u <= (1 - u) ^ roundings f) by lra.
  assert (C : 1 <= (1 - 30 * u) * (1 + 1 / 281474976710656)) by (unfold u; lra).
  apply Rle_trans with (meant f * ((1 - 30 * u) * (1 + 1 / 281474976710656))).
  { rewrite <- (Rmult_1_r (meant f)) at 1. apply Rmult_le_compat_l; assumption. }
  rewrite <- Rmult_assoc. apply Rmult_le_compat_r; [lra|]. eapply Rle_trans; [|exact H1].
  rewrite Rmult_comm. apply Rmult_le_compat_r; assumption.
Qed.

(** A sum of sizes that was itself rounded: 1 + 2 g makes up for a relative error of g. *)
Theorem size_restored s computed_ g : 0 <= s -> 0 <= g <= / 2 -> Rabs (computed_ - s) <= g * s -> s <= computed_ * (1 + 2 * g).
Proof.
  intros Hs Hg H. assert ((1 - g) * s <= computed_) by (revert H; unfold Rabs; destruct Rcase_abs; lra).
  apply Rle_trans with ((1 - g) * s * (1 + 2 * g)); [|apply Rmult_le_compat_r; lra].
  assert (0 <= g * (1 - 2 * g) * s) by (apply Rmult_le_pos; [apply Rmult_le_pos; lra|assumption]). lra.
Qed.
