(** Sums, and the softmax multiplied out: the margin of two logits is a sum of exponentials times what each position
    writes, over a positive number.  So its sign can be found without any division. *)
From Coq Require Import Reals ZArith List Arith Lia Lra.
From CompactProofs Require Import Statement.
Import ListNotations.
Open Scope R_scope.

(** * Sums *)

Lemma total_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> total n f = total n g.
Proof.
  induction n as [|n IH]; intros E; [reflexivity|]. simpl. f_equal; [apply IH; intros|]; apply E; lia.
Qed.

Lemma total_scale n a f : total n (fun i => a * f i) = a * total n f.
Proof. induction n as [|n IH]; simpl; [|rewrite IH]; ring. Qed.

Lemma total_add n f g : total n (fun i => f i + g i) = total n f + total n g.
Proof. induction n as [|n IH]; simpl; [|rewrite IH]; ring. Qed.

Lemma total_0 n : total n (fun _ => 0) = 0.
Proof. induction n as [|n IH]; simpl; [|rewrite IH]; ring. Qed.

Lemma total_swap n m f : total n (fun i => total m (fun j => f i j)) = total m (fun j => total n (fun i => f i j)).
Proof.
  induction n as [|n IH]; simpl; [symmetry; apply total_0|]. rewrite IH, total_add. reflexivity.
Qed.

Lemma total_first n f : total (S n) f = f O + total n (fun i => f (S i)).
Proof. induction n as [|n IH]; [simpl; ring|]. change (total (S (S n)) f) with (total (S n) f + f (S n)).
  rewrite IH. simpl. ring. Qed.

Lemma total_positive n f : (0 < n)%nat -> (forall i, 0 < f i) -> 0 < total n f.
Proof.
  intros Hn Hf. destruct n as [|n]; [lia|]. clear Hn.
  induction n as [|n IH]; simpl in *; [specialize (Hf O); lra|]. specialize (Hf (S n)). lra.
Qed.

(** A mean, followed by a linear map, is the mean of the linear map. *)
Lemma mean_linear n k a f w :
  total k (fun i => total n (fun p => a p * f p i) * w i) = total n (fun p => a p * total k (fun i => f p i * w i)).
Proof.
  rewrite (total_ext k _ (fun i => total n (fun p => a p * (f p i * w i)))).
  - rewrite total_swap. apply total_ext; intros p _. apply total_scale.
  - intros i _. rewrite Rmult_comm, <- total_scale. apply total_ext; intros; ring.
Qed.

(** * The margin *)
Section Margin.
  Variables (M : model) (x : list nat).
  Notation n := (positions M).
  Hypothesis some_position : (0 < n)%nat.

  (** The logit if all attention were on position p. *)
  Definition alone (p o : nat) : R :=
    total (width M) (fun i =>
      (embedding M x (last M) i + total (head_width M) (fun j => value M x p j * weight M (W_O M) j i)) *
      weight M (W_U M) i o).

  Definition denominator : R := total n (fun p => exp (score M x p)).

  Lemma denominator_positive : 0 < denominator.
  Proof. apply total_positive; [assumption|intros; apply exp_pos]. Qed.

  Lemma attention_sums_to_1 : total n (attention M x) = 1.
  Proof.
    pose proof denominator_positive.
    rewrite (total_ext _ _ (fun p => / denominator * exp (score M x p)))
      by (intros; unfold attention, Rdiv; fold denominator; ring).
    rewrite total_scale. fold denominator. field. lra.
  Qed.

  Lemma logit_is_mean o : logit M x o = total n (fun p => attention M x p * alone p o).
  Proof.
    unfold logit, alone. rewrite <- mean_linear. apply total_ext; intros i _. f_equal.
    unfold stream, head. rewrite mean_linear. symmetry.
    rewrite (total_ext n _ (fun p => attention M x p * embedding M x (last M) i + attention M x p *
      total (head_width M) (fun j => value M x p j * weight M (W_O M) j i))) by (intros; ring).
    rewrite total_add. f_equal.
    rewrite (total_ext n _ (fun p => embedding M x (last M) i * attention M x p)) by (intros; ring).
    rewrite total_scale, attention_sums_to_1. ring.
  Qed.

  Lemma margin a o :
    logit M x a - logit M x o =
    / denominator * total n (fun p => exp (score M x p) * (alone p a - alone p o)).
  Proof.
    rewrite !logit_is_mean, <- total_scale.
    transitivity (total n (fun p => attention M x p * alone p a + -1 * (attention M x p * alone p o))).
    - rewrite total_add, total_scale. ring.
    - apply total_ext; intros p _. unfold attention. fold denominator. unfold Rdiv. ring.
  Qed.

  Lemma margin_sign a o :
    logit M x o < logit M x a <-> 0 < total n (fun p => exp (score M x p) * (alone p a - alone p o)).
  Proof.
    pose proof denominator_positive as Hz. pose proof (Rinv_0_lt_compat _ Hz) as Hi. pose proof (margin a o) as E.
    set (s := total n _) in *. split; intros H.
    - apply (Rmult_lt_reg_l (/ denominator)); [assumption|]. rewrite Rmult_0_r. lra.
    - pose proof (Rmult_lt_0_compat _ _ Hi H). lra.
  Qed.
End Margin.
