(** The tables of the network as exact integers, computed with Bignums: what scores and logits are made of. *)
From Coq Require Import Reals ZArith List Arith Bool Lia Lra.
From Bignums Require Import BigZ.
From CompactProofs Require Import Statement Softmax.
Import ListNotations.
Open Scope R_scope.

(** * Matrices of big integers *)
Notation big := BigZ.t.
Notation toZ := BigZ.to_Z.
Definition matrix := list (list big).
Definition vector_at (r : list big) (j : nat) : R := IZR (toZ (nth j r BigZ.zero)).
Definition at_ (A : matrix) (i j : nat) : R := vector_at (nth i A []) j.

Fixpoint dot (a b : list big) : big :=
  match a, b with x :: a, y :: b => BigZ.add (BigZ.mul x y) (dot a b) | _, _ => BigZ.zero end.

(** The shorter one is padded by zeros. *)
Fixpoint plus (a b : list big) : list big :=
  match a, b with x :: a, y :: b => BigZ.add x y :: plus a b | [], b => b | a, [] => a end.

Definition columns (c : nat) (A : matrix) : matrix :=
  map (fun j => map (fun r => nth j r BigZ.zero) A) (seq 0 c).
Definition times_transposed (A B : matrix) : matrix := map (fun r => map (dot r) B) A.
(** A B, where B has c columns *)
Definition times (c : nat) (A B : matrix) : matrix := times_transposed A (columns c B).

Definition narrow (k : nat) (A : matrix) : Prop := forall i, (length (nth i A []) <= k)%nat.

Lemma vector_at_nil j : vector_at [] j = 0.
Proof. unfold vector_at. destruct j; reflexivity. Qed.

Lemma dot_spec k : forall a b, (length a <= k)%nat ->
  IZR (toZ (dot a b)) = total k (fun i => vector_at a i * vector_at b i).
Proof.
  induction k as [|k IH]; intros a b Hl.
  - destruct a; [reflexivity|simpl in Hl; lia].
  - rewrite total_first. destruct a as [|x a]; [|destruct b as [|y b]].
    + rewrite (total_ext _ _ (fun _ => 0)) by (intros; rewrite vector_at_nil; ring).
      rewrite total_0, vector_at_nil. change (0 = 0 * vector_at b O + 0). ring.
    + rewrite (total_ext _ _ (fun _ => 0)) by (intros; rewrite vector_at_nil; ring).
      rewrite total_0, vector_at_nil. change (0 = vector_at (x :: a) O * 0 + 0). ring.
    + cbn [dot]. rewrite BigZ.spec_add, BigZ.spec_mul, plus_IZR, mult_IZR, IH by (simpl in Hl; lia).
      unfold vector_at. simpl. reflexivity.
Qed.

Lemma plus_spec : forall a b j, vector_at (plus a b) j = vector_at a j + vector_at b j.
Proof.
  induction a as [|x a IH]; intros b j.
  - rewrite vector_at_nil. simpl plus. ring.
  - destruct b as [|y b]; [rewrite vector_at_nil; simpl plus; ring|].
    destruct j as [|j]; [|exact (IH b j)]. unfold vector_at. cbn [plus nth]. rewrite BigZ.spec_add, plus_IZR. reflexivity.
Qed.

Lemma nth_map_or {A B} (f : A -> B) l i (a : A) (b : B) : nth i (map f l) b = if (i <? length l)%nat then f (nth i l a) else b.
Proof.
  destruct (Nat.ltb_spec i (length l)) as [H|H].
  - rewrite (nth_indep _ b (f a)) by (rewrite map_length; assumption). apply map_nth.
  - apply nth_overflow. rewrite map_length. assumption.
Qed.

Lemma nth_map_in {A B} (f : A -> B) l i (a : A) (b : B) : (i < length l)%nat -> nth i (map f l) b = f (nth i l a).
Proof. intros H. rewrite (nth_map_or f l i a b). apply Nat.ltb_lt in H. rewrite H. reflexivity. Qed.

Ltac by_length H := match goal with |- context [(?a <? ?b)%nat] => destruct (Nat.ltb_spec a b) as [H|H] end.

Lemma nth_map_seq {A} (f : nat -> A) n i (d : A) : (i < n)%nat -> nth i (map f (seq 0 n)) d = f i.
Proof.
  intros H. rewrite (nth_map_in f _ i O d) by (rewrite seq_length; assumption). rewrite seq_nth by assumption.
  reflexivity.
Qed.

Lemma at_columns c A j i : (j < c)%nat -> at_ (columns c A) j i = at_ A i j.
Proof.
  intros H. unfold at_, columns. rewrite nth_map_seq by assumption. unfold vector_at.
  f_equal. f_equal. rewrite (nth_map_or _ _ _ [] _). by_length Hi; [reflexivity|].
  rewrite (nth_overflow A) by assumption. destruct j; reflexivity.
Qed.

Lemma at_times_transposed k A B i j : narrow k A ->
  at_ (times_transposed A B) i j = total k (fun l => at_ A i l * at_ B j l).
Proof.
  intros H. unfold at_ at 1, times_transposed. rewrite (nth_map_or _ _ _ [] _).
  by_length Hi.
  - unfold vector_at. rewrite (nth_map_or _ _ _ [] _). by_length Hj.
    + rewrite (dot_spec k) by apply H. reflexivity.
    + rewrite (total_ext _ _ (fun _ => 0)); [rewrite total_0; reflexivity|]. intros l _. unfold at_.
      rewrite (nth_overflow B), vector_at_nil by assumption. ring.
  - rewrite (total_ext _ _ (fun _ => 0)); [rewrite total_0; apply vector_at_nil|]. intros l _. unfold at_.
    rewrite (nth_overflow A), vector_at_nil by assumption. ring.
Qed.

Lemma at_times k c A B i j : narrow k A -> (j < c)%nat ->
  at_ (times c A B) i j = total k (fun l => at_ A i l * at_ B l j).
Proof.
  intros H Hj. unfold times. rewrite (at_times_transposed k) by assumption.
  apply total_ext; intros l _. rewrite at_columns by assumption. reflexivity.
Qed.

Lemma narrow_times c A B : narrow c (times c A B).
Proof.
  intros i. unfold times, times_transposed. rewrite (nth_map_or _ _ _ [] _). destruct (_ <? _)%nat; [|simpl; lia].
  rewrite map_length. unfold columns. rewrite map_length, seq_length. lia.
Qed.

Lemma at_map_plus r A i j : (i < length A)%nat -> at_ (map (plus r) A) i j = vector_at r j + at_ A i j.
Proof.
  intros H. unfold at_. rewrite (nth_map_or _ _ _ [] _). apply Nat.ltb_lt in H. rewrite H. apply plus_spec.
Qed.

Lemma narrow_map_plus k r A : (length r <= k)%nat -> narrow k A -> narrow k (map (plus r) A).
Proof.
  intros Hr HA i. rewrite (nth_map_or _ _ _ [] _). destruct (_ <? _)%nat; [|simpl; lia].
  specialize (HA i). revert Hr HA. generalize (nth i A []). clear. intros b. revert k b.
  induction r as [|x r IH]; intros k [|y b] Hr Hb; simpl in *; try lia.
  destruct k as [|k]; [lia|]. specialize (IH k b). lia.
Qed.

Definition bigs (A : list (list Z)) : matrix := map (map BigZ.of_Z) A.

Lemma at_bigs A i j : at_ (bigs A) i j = IZR (entry A i j).
Proof.
  unfold at_, bigs, entry, vector_at. f_equal. rewrite (nth_map_or _ _ _ [] _).
  by_length Hi.
  - rewrite (nth_map_or _ _ _ 0%Z _). by_length Hj.
    + apply BigZ.spec_of_Z.
    + rewrite nth_overflow by assumption. reflexivity.
  - rewrite (nth_overflow A) by assumption. destruct j; reflexivity.
Qed.

(** * The tables *)
Record tables := Tables {
  score_token : matrix;    (* query, token *)
  score_position : matrix; (* query, position *)
  direct : matrix;         (* query, output *)
  written : matrix;        (* token, output *)
  written_at : matrix      (* position, output *) }.

Definition tables_of (M : model) : tables :=
  let v := tokens M in let d := width M in let h := head_width M in
  let E := bigs (W_E M) in let P := bigs (W_pos M) in let U := bigs (W_U M) in
  let K := bigs (W_K M) in let V := bigs (W_V M) in let O := bigs (W_O M) in
  let asking := map (plus (nth (last M) P [])) E in
  let Q := times h asking (bigs (W_Q M)) in
  {| score_token := times_transposed Q (times h E K);
     score_position := times_transposed Q (times h P K);
     direct := times v asking U;
     written := times v (times d (times h E V) O) U;
     written_at := times v (times d (times h P V) O) U |}.

Definition narrowb (k : nat) (A : list (list Z)) : bool := forallb (fun r => length r <=? k)%nat A.

(** What of the shapes the proofs need. *)
Definition tidy (M : model) : bool :=
  ((length (W_E M) =? tokens M) && (0 <? positions M) && (0 <? head_width M))%nat &&
  narrowb (width M) (W_E M) && narrowb (width M) (W_pos M).

Lemma narrow_bigs k A : narrowb k A = true -> narrow k (bigs A).
Proof.
  unfold narrowb. rewrite forallb_forall. intros H i. unfold bigs. rewrite (nth_map_or _ _ _ [] _).
  by_length Hi; [|simpl; lia].
  rewrite map_length. apply Nat.leb_le, H, nth_In, Hi.
Qed.

Section Exact.
  Variables (M : model) (x : list nat).
  Hypothesis is_tidy : tidy M = true.
  Let q := nth (last M) x O.
  Hypothesis known_query : (q < tokens M)%nat.
  Let c := / 2 ^ exponent M.
  Notation T := (tables_of M).

  Lemma tidy_parts : length (W_E M) = tokens M /\ (0 < positions M)%nat /\ (0 < head_width M)%nat /\
    narrow (width M) (bigs (W_E M)) /\ narrow (width M) (bigs (W_pos M)).
  Proof.
    pose proof is_tidy as H. unfold tidy in H. rewrite !Bool.andb_true_iff in H. destruct H as ((((H1 & H2) & H3) & H4) & H5).
    apply Nat.eqb_eq in H1. apply Nat.ltb_lt in H2, H3.
    repeat split; try assumption; apply narrow_bigs; assumption.
  Qed.

  Lemma weight_exact A i j : weight M A i j = c * at_ (bigs A) i j.
  Proof. rewrite at_bigs. unfold weight, c, Rdiv. ring. Qed.

  (** Embeddings through a matrix W: by token and position apart, or together for the query. *)
  Lemma projected W k p j : (j < k)%nat ->
    total (width M) (fun i => embedding M x p i * weight M W i j) =
    c ^ 2 * (at_ (times k (bigs (W_E M)) (bigs W)) (nth p x O) j + at_ (times k (bigs (W_pos M)) (bigs W)) p j).
  Proof.
    intros Hj. destruct tidy_parts as (_ & _ & _ & HE & HP).
    rewrite !(at_times (width M)) by assumption. rewrite <- total_add, <- total_scale.
    apply total_ext; intros i _. unfold embedding. rewrite !weight_exact. ring.
  Qed.

  Lemma projected_query W k j : (j < k)%nat ->
    total (width M) (fun i => embedding M x (last M) i * weight M W i j) =
    c ^ 2 * at_ (times k (map (plus (nth (last M) (bigs (W_pos M)) [])) (bigs (W_E M))) (bigs W)) q j.
  Proof.
    intros Hj. destruct tidy_parts as (HL & _ & _ & HE & HP).
    rewrite (at_times (width M)) by (try apply narrow_map_plus; try apply HP; assumption).
    rewrite <- total_scale. apply total_ext; intros i _.
    rewrite at_map_plus by (unfold bigs; rewrite map_length, HL; assumption).
    unfold embedding. fold q. rewrite !weight_exact. unfold at_. ring.
  Qed.

  Definition exponent_at (q t p : nat) : R := c ^ 4 * (at_ (score_token T) q t + at_ (score_position T) q p) / sqrt (INR (head_width M)).

  Lemma score_exact p : score M x p = exponent_at q (nth p x O) p.
  Proof.
    unfold score, exponent_at, Rdiv. f_equal. unfold tables_of; cbn [score_token score_position].
    rewrite !(at_times_transposed (head_width M)) by apply narrow_times. rewrite <- total_add, <- total_scale.
    apply total_ext; intros j Hj. unfold query, key. rewrite projected_query with (k := head_width M) by assumption.
    rewrite projected with (k := head_width M) by assumption. ring.
  Qed.

  Lemma value_written p i : (i < width M)%nat ->
    total (head_width M) (fun j => value M x p j * weight M (W_O M) j i) =
    c ^ 3 * (at_ (times (width M) (times (head_width M) (bigs (W_E M)) (bigs (W_V M))) (bigs (W_O M))) (nth p x O) i +
             at_ (times (width M) (times (head_width M) (bigs (W_pos M)) (bigs (W_V M))) (bigs (W_O M))) p i).
  Proof.
    intros Hi. rewrite !(at_times (head_width M)) by (try apply narrow_times; assumption).
    rewrite <- total_add, <- total_scale. apply total_ext; intros j Hj. unfold value.
    rewrite projected with (k := head_width M) by assumption. rewrite weight_exact. ring.
  Qed.

  Definition wrote (q t p o : nat) : R :=
    (2 ^ exponent M) ^ 2 * at_ (direct T) q o + at_ (written T) t o + at_ (written_at T) p o.

  Lemma alone_exact p o : (o < tokens M)%nat -> alone M x p o = c ^ 4 * wrote q (nth p x O) p o.
  Proof.
    intros Ho. unfold alone, wrote, tables_of; cbn [direct written written_at].
    rewrite (at_times (width M) (tokens M) (times _ (times _ (bigs (W_E M)) _) _)) by (try apply narrow_times; assumption).
    rewrite (at_times (width M) (tokens M) (times _ (times _ (bigs (W_pos M)) _) _)) by (try apply narrow_times; assumption).
    rewrite (total_ext _ _ (fun i => embedding M x (last M) i * weight M (W_U M) i o +
      total (head_width M) (fun j => value M x p j * weight M (W_O M) j i) * weight M (W_U M) i o)) by (intros; ring).
    rewrite total_add, projected_query with (k := tokens M) by assumption.
    rewrite Rplus_assoc, <- total_add, Rmult_plus_distr_l. f_equal.
    - rewrite <- Rmult_assoc. f_equal. assert (2 ^ exponent M <> 0) by (apply pow_nonzero; lra). unfold c. field. assumption.
    - rewrite <- total_scale. apply total_ext; intros i Hi. rewrite value_written, weight_exact by assumption. ring.
  Qed.

  (** ** What is left to decide: the sign of a sum of exponentials times integers *)
  Definition part (q a p t o : nat) : R := exp (exponent_at q t p) * (wrote q t p a - wrote q t p o).

  Theorem sign_exact a o : (a < tokens M)%nat -> (o < tokens M)%nat ->
    logit M x o < logit M x a <-> 0 < total (positions M) (fun p => part q a p (nth p x O) o).
  Proof.
    intros Ha Ho. destruct tidy_parts as (_ & Hn & _). rewrite margin_sign by assumption.
    assert (Hc : 0 < c ^ 4) by (apply pow_lt; unfold c; apply Rinv_0_lt_compat, pow_lt; lra).
    rewrite (total_ext _ _ (fun p => c ^ 4 * part q a p (nth p x O) o)).
    - rewrite total_scale. set (s := total _ _). split; intros H.
      + apply (Rmult_lt_reg_l (c ^ 4)); [assumption|]. rewrite Rmult_0_r. assumption.
      + apply Rmult_lt_0_compat; assumption.
    - intros p _. unfold part. rewrite score_exact, !alone_exact by assumption. ring.
  Qed.
End Exact.
