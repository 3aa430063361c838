(** The program that `checker/Extract.v` turns into OCaml, and what its answers mean. *)
From Coq Require Import ZArith Bool Lia.
From CompactProofs Require Import Statement Checker Cubic FailingInputs.
Open Scope Z_scope.

Inductive claim := At_least (number : Z) | At_most (number : Z).

Definition holds (M : model) (c : claim) : Prop :=
  match c with At_least n => n <= correct_count M | At_most n => correct_count M <= n end.

Inductive verdict := Accepted | Rejected (at_least at_most : Z) | Misshapen.

Inductive argument := By_boxes | By_cubic | By_failing_sets.

(** How many inputs are answered correctly, at least and at most; by boxes, or by the argument of a strategy. *)
Definition found (M : model) (h : hints) (by_ : argument) : Z * Z :=
  match by_ with
  | By_boxes => let r := run M h in (fst r, inputs_of M - snd r)
  | By_cubic => (cubic M h, inputs_of M)
  | By_failing_sets => let r := failing_sets M h in (fst r, inputs_of M - snd r)
  end.

Definition answer (M : model) (h : hints) (by_ : argument) (c : claim) : verdict :=
  if negb (shapesb M) then Misshapen else
  let (low, high) := found M h by_ in
  if match c with At_least n => n <=? low | At_most n => high <=? n end then Accepted else Rejected low high.

Lemma found_sound M h by_ : fst (found M h by_) <= correct_count M <= snd (found M h by_).
Proof.
  destruct by_; simpl.
  - apply run_sound.
  - split; [apply cubic_sound|apply no_more_than_inputs].
  - apply failing_sets_sound.
Qed.

(** What is accepted is true, whatever the hints are. *)
Theorem accepted_is_true M h by_ c : answer M h by_ c = Accepted -> well_shaped M /\ holds M c.
Proof.
  unfold answer. destruct (shapesb M) eqn:Es; [|discriminate]. pose proof (found_sound M h by_) as H. simpl negb.
  cbv iota. destruct (found M h by_) as [low high]. simpl in H.
  intros E. split; [apply shapes_checked, Es|]. destruct c as [n|n]; simpl in *.
  - destruct (Z.leb_spec n low); [lia|discriminate].
  - destruct (Z.leb_spec high n); [lia|discriminate].
Qed.

(** And a claim that is rejected comes with bounds that are true. *)
Theorem rejected_with_bounds M h by_ c low high :
  answer M h by_ c = Rejected low high -> low <= correct_count M <= high.
Proof.
  unfold answer. destruct (shapesb M); [|discriminate]. pose proof (found_sound M h by_) as H. simpl negb.
  cbv iota. destruct (found M h by_) as [l u]. destruct c; destruct (_ <=? _); intros [= <- <-] || intros [=]; exact H.
Qed.
