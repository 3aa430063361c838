(** The statement: a transformer over the real numbers, its task, and what is counted.  Nothing here is computed.

    Everything that the theorems say is said in this file: to trust a theorem, read it, the weights, and the
    assumptions that Coq prints. *)
From Coq Require Import Reals ZArith List Arith Bool.
Import ListNotations.
Open Scope R_scope.

(** Weights are exact: an integer, times 2^-exponent.  Matrices are lists of rows. *)
Record model := Model {
  tokens : nat;     (* v: tokens are 0 ... v - 1 *)
  positions : nat;  (* n: the length of an input *)
  width : nat;      (* d: of the residual stream *)
  head_width : nat; (* h: of the only attention head *)
  exponent : nat;
  W_E : list (list Z);   (* v rows of d numbers: what a token is at first *)
  W_pos : list (list Z); (* n rows of d numbers: what is added at each position *)
  W_Q : list (list Z);   (* d rows of h numbers, also K and V *)
  W_K : list (list Z);
  W_V : list (list Z);
  W_O : list (list Z);   (* h rows of d numbers *)
  W_U : list (list Z)    (* d rows of v numbers: from the stream to the logits *) }.

Definition entry (A : list (list Z)) (i j : nat) : Z := nth j (nth i A []) 0%Z.

(** f 0 + ... + f (n - 1) *)
Fixpoint total (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S n => total n f + f n end.

(** ** The network, on the input x *)
Section Network.
  Variables (M : model) (x : list nat).
  Let v := tokens M.
  Let n := positions M.
  Let d := width M.
  Let h := head_width M.

  Definition weight (A : list (list Z)) (i j : nat) : R := IZR (entry A i j) / 2 ^ exponent M.

  Definition last := pred n.
  Definition embedding (p i : nat) : R := weight (W_E M) (nth p x O) i + weight (W_pos M) p i.
  Definition query (j : nat) : R := total d (fun i => embedding last i * weight (W_Q M) i j).
  Definition key (p j : nat) : R := total d (fun i => embedding p i * weight (W_K M) i j).
  Definition value (p j : nat) : R := total d (fun i => embedding p i * weight (W_V M) i j).
  Definition score (p : nat) : R := total h (fun j => query j * key p j) / sqrt (INR h).
  Definition attention (p : nat) : R := exp (score p) / total n (fun p' => exp (score p')).
  Definition head (j : nat) : R := total n (fun p => attention p * value p j).
  Definition stream (i : nat) : R := embedding last i + total h (fun j => head j * weight (W_O M) j i).
  Definition logit (o : nat) : R := total d (fun i => stream i * weight (W_U M) i o).

  (** ** The task: name the largest token.  A tie between logits is a wrong answer. *)
  Definition largest : nat := list_max x.
  Definition right : Prop := forall o, (o < v)%nat -> o <> largest -> logit o < logit largest.
  Definition rightb : bool :=
    forallb (fun o => (o =? largest)%nat || if Rlt_dec (logit o) (logit largest) then true else false) (seq 0 v).
End Network.

(** ** What is counted: the inputs, all lists of n tokens, that are answered correctly *)
Fixpoint inputs (v n : nat) : list (list nat) :=
  match n with O => [[]] | S n => flat_map (fun t => map (cons t) (inputs v n)) (seq 0 v) end.

Definition correct_count (M : model) : Z :=
  Z.of_nat (length (filter (rightb M) (inputs (tokens M) (positions M)))).

(** ** Lists of rows are as long as said above, so no entry is made up by a default. *)
Definition shape (A : list (list Z)) (rows columns : nat) : Prop :=
  length A = rows /\ forall row, In row A -> length row = columns.

Definition well_shaped (M : model) : Prop :=
  shape (W_E M) (tokens M) (width M) /\ shape (W_pos M) (positions M) (width M) /\
  shape (W_Q M) (width M) (head_width M) /\ shape (W_K M) (width M) (head_width M) /\
  shape (W_V M) (width M) (head_width M) /\ shape (W_O M) (head_width M) (width M) /\
  shape (W_U M) (width M) (tokens M).
