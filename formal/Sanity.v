(** What one would expect of the definitions in the statement. *)
From Coq Require Import Reals ZArith List Arith Bool Lia FinFun.
From CompactProofs Require Import Statement.
Import ListNotations.
Open Scope R_scope.

(** The test that is counted by is the property. *)
Lemma rightb_right M x : rightb M x = true <-> right M x.
Proof.
  unfold rightb, right. rewrite forallb_forall. split; intros H o.
  - intros Ho Hl. specialize (H o (proj2 (in_seq (tokens M) 0 o) (conj (Nat.le_0_l o) Ho))). apply orb_true_iff in H as [H|H].
    + apply Nat.eqb_eq in H. contradiction.
    + destruct (Rlt_dec _ _); [assumption|discriminate].
  - intros Ho. apply in_seq in Ho. destruct (Nat.eqb_spec o (largest x)) as [|Hl]; [reflexivity|].
    destruct (Rlt_dec _ _) as [|Hn]; [reflexivity|]. exfalso. apply Hn, H; [lia|assumption].
Qed.

(** The label is one of the tokens, and none is larger. *)
Lemma largest_is x : x <> [] -> In (largest x) x /\ forall t, In t x -> (t <= largest x)%nat.
Proof.
  intros Hx. split.
  - unfold largest. induction x as [|t x IH]; [contradiction|]. simpl. destruct x as [|s x]; [simpl; left; lia|].
    specialize (IH ltac:(discriminate)). destruct (Nat.max_spec t (list_max (s :: x))) as [[_ ->]|[_ ->]]; auto.
  - intros t Ht. pose proof (proj1 (list_max_le x _) (Nat.le_refl _)) as H. rewrite Forall_forall in H. apply H, Ht.
Qed.

(** The inputs are all lists of n tokens, each of them once. *)
Lemma inputs_are v n x : In x (inputs v n) <-> length x = n /\ forall t, In t x -> (t < v)%nat.
Proof.
  revert x. induction n as [|n IH]; intros x; simpl.
  - split; [intros [<-|[]]; split; [reflexivity|intros t []]|]. intros [H _]. left. symmetry. apply length_zero_iff_nil, H.
  - rewrite in_flat_map. split.
    + intros (t & Ht & Hx). apply in_seq in Ht. apply in_map_iff in Hx as (y & <- & Hy). apply IH in Hy as [<- Hy].
      split; [reflexivity|]. intros s [<-|Hs]; [lia|apply Hy, Hs].
    + intros [Hl Ht]. destruct x as [|t x]; [discriminate|]. injection Hl as Hl. exists t. split.
      * apply in_seq. specialize (Ht t (or_introl eq_refl)). lia.
      * apply in_map, IH. split; [assumption|]. intros s Hs. apply Ht. right. assumption.
Qed.

Lemma inputs_once v n : NoDup (inputs v n).
Proof.
  induction n as [|n IH]; simpl; [constructor; [intros []|constructor]|].
  generalize (seq_NoDup v 0). induction (seq 0 v) as [|t ts IHt]; intros Hts; simpl; [constructor|].
  inversion_clear Hts as [|? ? Hnew Hts']. specialize (IHt Hts').
  assert (Happ : forall a b : list (list nat), NoDup a -> NoDup b -> (forall x, In x a -> ~ In x b) -> NoDup (a ++ b)).
  { induction a as [|x a IHa]; intros b Ha Hb Hab; [assumption|]. inversion_clear Ha as [|? ? Hx Ha']. simpl. constructor.
    - rewrite in_app_iff. intros [H|H]; [contradiction|]. apply (Hab x (or_introl eq_refl) H).
    - apply IHa; [assumption..|]. intros y Hy. apply Hab. right. assumption. }
  apply Happ; [|assumption|].
  - apply Injective_map_NoDup; [|assumption]. intros x y E. injection E. auto.
  - intros x Hx Hx'. apply in_map_iff in Hx as (y & <- & _). apply in_flat_map in Hx' as (s & Hs & Hx').
    apply in_map_iff in Hx' as (z & E & _). injection E as -> _. contradiction.
Qed.

(** Attention is a distribution over the positions: the numbers are positive and sum to 1. *)
Lemma attention_positive M x p : (0 < positions M)%nat -> 0 < attention M x p.
Proof.
  intros Hn. unfold attention. apply Rdiv_lt_0_compat; [apply exp_pos|].
  destruct (positions M) as [|n]; [lia|]. clear Hn. induction n as [|n IH]; simpl.
  - rewrite Rplus_0_l. apply exp_pos.
  - simpl in IH. apply Rplus_lt_0_compat; [assumption|apply exp_pos].
Qed.
