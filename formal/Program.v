(** The program that `checker/Extract.v` turns into OCaml, and what its answers mean. *)
From Coq Require Import ZArith Bool Lia.
From CompactProofs Require Import Statement Checker Cubic.
Open Scope Z_scope.

Inductive claim := At_least (number : Z) | At_most (number : Z).

Definition holds (M : model) (c : claim) : Prop :=
  match c with At_least n => n <= correct_count M | At_most n => correct_count M <= n end.

Inductive verdict := Accepted | Rejected (at_least at_most : Z) | Misshapen.

(** How many inputs are answered correctly, at least and at most; by boxes, or by the argument of `cubic`. *)
Definition found (M : model) (h : hints) (by_cubic : bool) : Z * Z :=
  if by_cubic then (cubic M h, inputs_of M) else let r := run M h in (fst r, inputs_of M - snd r).

Definition answer (M : model) (h : hints) (by_cubic : bool) (c : claim) : verdict :=
  if negb (shapesb M) then Misshapen else
  let (low, high) := found M h by_cubic in
  if match c with At_least n => n <=? low | At_most n => high <=? n end then Accepted else Rejected low high.

Lemma found_sound M h by_cubic : fst (found M h by_cubic) <= correct_count M <= snd (found M h by_cubic).
Proof.
  destruct by_cubic; simpl.
  - split; [apply cubic_sound|apply no_more_than_inputs].
  - apply run_sound.
Qed.

(** What is accepted is true, whatever the hints are. *)
Theorem accepted_is_true M h by_cubic c : answer M h by_cubic c = Accepted -> well_shaped M /\ holds M c.
Proof.
  unfold answer. destruct (shapesb M) eqn:Es; [|discriminate]. pose proof (found_sound M h by_cubic) as H. simpl negb.
  cbv iota. destruct (found M h by_cubic) as [low high]. simpl in H.
  intros E. split; [apply shapes_checked, Es|]. destruct c as [n|n]; simpl in *.
  - destruct (Z.leb_spec n low); [lia|discriminate].
  - destruct (Z.leb_spec high n); [lia|discriminate].
Qed.

(** And a claim that is rejected comes with bounds that are true. *)
Theorem rejected_with_bounds M h by_cubic c low high :
  answer M h by_cubic c = Rejected low high -> low <= correct_count M <= high.
Proof.
  unfold answer. destruct (shapesb M); [|discriminate]. pose proof (found_sound M h by_cubic) as H. simpl negb.
  cbv iota. destruct (found M h by_cubic) as [l u]. destruct c; destruct (_ <=? _); intros [= <- <-] || intros [=]; exact H.
Qed.
