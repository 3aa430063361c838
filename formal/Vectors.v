(** Vectors of 63-bit machine integers, one entry for each output, and what they bound. *)
From Coq Require Import Reals ZArith List Arith Bool Lia Lra Uint63 Sint63.
From CompactProofs Require Import Statement Boxes.
Import ListNotations.
Open Scope R_scope.

Notation val := Sint63.to_Z.
Notation of_Z := Uint63.of_Z.

(** * Machine integers, where nothing overflows *)

Definition fits (z : Z) : Prop := (- 2 ^ 62 <= z < 2 ^ 62)%Z.

Lemma cmod_fits z : fits z -> Sint63.cmod z wB = z.
Proof. intros H. apply Sint63.cmod_small. exact H. Qed.

Lemma val_of_Z z : fits z -> val (of_Z z) = z.
Proof. intros H. rewrite Sint63.of_Z_spec. apply cmod_fits, H. Qed.
Lemma val_add a b : fits (val a + val b) -> val (a + b)%uint63 = (val a + val b)%Z.
Proof. intros H. rewrite Sint63.add_spec. apply cmod_fits, H. Qed.
Lemma val_sub a b : fits (val a - val b) -> val (a - b)%uint63 = (val a - val b)%Z.
Proof. intros H. rewrite Sint63.sub_spec. apply cmod_fits, H. Qed.
Lemma val_mul a b : fits (val a * val b) -> val (a * b)%uint63 = (val a * val b)%Z.
Proof. intros H. rewrite Sint63.mul_spec. apply cmod_fits, H. Qed.

Definition bounded (b : Z) (a : int) : Prop := (- b <= val a <= b)%Z.

Definition imin (a b : int) : int := if Sint63.leb a b then a else b.
Definition imax (a b : int) : int := if Sint63.leb a b then b else a.

(** * Entry by entry *)
Section Zip.
  Context {A B C : Type} (f : A -> B -> C).
  Fixpoint zip (a : list A) (b : list B) : list C :=
    match a, b with x :: a, y :: b => f x y :: zip a b | _, _ => [] end.
End Zip.

Lemma Forall2_zip {A B C O} (f : A -> B -> C) (P : O -> A -> Prop) (Q : O -> B -> Prop) (S : O -> C -> Prop) os a b :
  (forall o x y, In o os -> P o x -> Q o y -> S o (f x y)) -> Forall2 P os a -> Forall2 Q os b -> Forall2 S os (zip f a b).
Proof.
  intros H Ha. revert b. induction Ha as [|o x os a Hx Ha IH]; intros b Hb; inversion_clear Hb; simpl; constructor.
  - apply H; simpl; auto.
  - apply IH; [|assumption]. intros; apply H; simpl; auto.
Qed.

Lemma Forall2_map {A B O} (f : A -> B) (P : O -> A -> Prop) (S : O -> B -> Prop) os a :
  (forall o x, In o os -> P o x -> S o (f x)) -> Forall2 P os a -> Forall2 S os (map f a).
Proof.
  intros H Ha. induction Ha as [|o x os a Hx Ha IH]; simpl; constructor; [apply H; simpl; auto|].
  apply IH. intros; apply H; simpl; auto.
Qed.

Lemma Forall2_same {A} (f : nat -> A) (S : nat -> A -> Prop) os : (forall o, In o os -> S o (f o)) -> Forall2 S os (map f os).
Proof. induction os as [|o os IH]; intros H; simpl; constructor; [apply H|apply IH; intros; apply H]; simpl; auto. Qed.

Lemma Forall2_In {A} (S : nat -> A -> Prop) os l : Forall2 S os l -> forall o, In o os -> exists a, In a l /\ S o a.
Proof.
  induction 1 as [|o a os l Ha Hl IH]; intros o' [].
  - subst. exists a. simpl; auto.
  - destruct (IH o' H) as (a' & H1 & H2). exists a'. simpl; auto.
Qed.

Lemma Forall2_imp {A} (S S' : nat -> A -> Prop) os l : (forall o a, In o os -> S o a -> S' o a) -> Forall2 S os l -> Forall2 S' os l.
Proof. intros H Hl. rewrite <- (map_id l). apply (Forall2_map (fun a => a) S); assumption. Qed.

Lemma Forall2_same_length {A B} (S : A -> B -> Prop) a b : Forall2 S a b -> length b = length a.
Proof. induction 1; simpl; auto. Qed.

(** Some entries of a vector over 0 ... v - 1 *)
Definition pick (os : list nat) (l : list int) : list int := map (fun o => nth o l 0%uint63) os.

Lemma Forall2_pick (S : nat -> int -> Prop) v os l : (forall o, In o os -> (o < v)%nat) ->
  Forall2 S (seq 0 v) l -> Forall2 S os (pick os l).
Proof.
  intros Hos Hl. apply Forall2_same. intros o Ho. specialize (Hos o Ho). clear Ho os.
  assert (H : forall k, Forall2 S (seq k v) l -> forall i, (i < v)%nat -> S (k + i)%nat (nth i l 0%uint63)).
  { clear. revert l. induction v as [|v IH]; intros l k H i Hi; [lia|]. inversion_clear H as [|? a ? r Ha Hr].
    destruct i as [|i]; [rewrite Nat.add_0_r; exact Ha|]. rewrite <- Nat.add_succ_comm. exact (IH r _ Hr i ltac:(lia)). }
  apply (H 0%nat Hl o Hos).
Qed.

(** * Bounds from below and above of a real number for each output *)

(** Each term of a margin is a weight times a difference of logits: [weight1] where the latter is not negative. *)
Definition row (weight1 weight2 : int) (base e : list int) : list int :=
  zip (fun b e => let g := (b + e)%uint63 in ((if Sint63.leb 0 g then weight1 else weight2) * g)%uint63) base e.

Definition term_bound : Z := (2 ^ 59)%Z.
Definition most_positions : nat := 7%nat.

Section Bounds.
  (** [le] is below for bounds from below; then [better] is the minimum, and [worst] is as large as can be. *)
  Variables (le : R -> R -> Prop) (better : int -> int -> int).
  Hypothesis le_trans : forall a b c, le a b -> le b c -> le a c.
  Hypothesis le_plus : forall a b c d, le a b -> le c d -> le (a + c) (b + d).
  Hypothesis le_0 : le 0 0.
  Hypothesis better_is : forall a b, better a b = a \/ better a b = b.
  Hypothesis better_1 : forall a b, le (IZR (val (better a b))) (IZR (val a)).
  Hypothesis better_2 : forall a b, le (IZR (val (better a b))) (IZR (val b)).

  Variable f : nat -> nat -> nat -> R. (* position, token, output *)
  Variable os : list nat.

  Definition bounds (p : nat) (ts : list nat) (l : list int) : Prop :=
    Forall2 (fun o a => bounded term_bound a /\ forall t, In t ts -> le (IZR (val a)) (f p t o)) os l.

  Lemma bounds_join p ts ts' l l' : bounds p ts l -> bounds p ts' l' -> bounds p (ts ++ ts') (zip better l l').
  Proof.
    apply Forall2_zip. intros o a b _ [Ba Ha] [Bb Hb]. split.
    - destruct (better_is a b) as [-> | ->]; assumption.
    - intros t Ht. apply in_app_or in Ht as [Ht|Ht].
      + eapply le_trans; [apply better_1|apply Ha, Ht].
      + eapply le_trans; [apply better_2|apply Hb, Ht].
  Qed.

  Lemma bounds_nothing p a : bounded term_bound a -> bounds p [] (map (fun _ => a) os).
  Proof. intros H. apply Forall2_same. intros o _. split; [assumption|intros t []]. Qed.

  Definition sums : list (list int) -> list int := fold_right (zip (fun a b => (a + b)%uint63)) (map (fun _ => 0%uint63) os).

  Fixpoint all_bounds (p : nat) (b : box) (l : list (list int)) : Prop :=
    match b, l with
    | [], [] => True
    | ts :: b, a :: l => bounds p ts a /\ all_bounds (S p) b l
    | _, _ => False
    end.

  Fixpoint along (p : nat) (x : list nat) (o : nat) : R :=
    match x with [] => 0 | t :: x => f p t o + along (S p) x o end.

  Lemma sums_bound : forall b p l, all_bounds p b l -> (length b <= most_positions)%nat ->
    Forall2 (fun o a => bounded (Z.of_nat (length b) * term_bound) a /\
      forall x, member x b -> le (IZR (val a)) (along p x o)) os (sums l).
  Proof.
    induction b as [|ts b IH]; intros p [|a l] Hb Hn; try contradiction; simpl sums.
    - apply Forall2_same. intros o _. split; [unfold bounded; change (val 0) with 0%Z; simpl; lia|].
      intros x Hx. inversion_clear Hx. exact le_0.
    - destruct Hb as [Ha Hl]. simpl in Hn. specialize (IH (S p) l Hl ltac:(lia)). revert Ha IH. apply Forall2_zip.
      intros o u w _ [Bu Hu] [Bw Hw]. unfold bounded, term_bound, most_positions in *.
      assert (E : val (u + w)%uint63 = (val u + val w)%Z).
      { apply val_add. unfold fits. assert (Z.of_nat (length b) <= 6)%Z by lia. nia. }
      split; [rewrite E; simpl length; lia|]. intros x Hx. inversion_clear Hx as [|t ? x' ? Ht Hx'].
      rewrite E, plus_IZR. simpl. apply le_plus; auto.
  Qed.
End Bounds.

Lemma imin_is a b : imin a b = a \/ imin a b = b.
Proof. unfold imin. destruct (Sint63.leb a b); auto. Qed.
Lemma imax_is a b : imax a b = a \/ imax a b = b.
Proof. unfold imax. destruct (Sint63.leb a b); auto. Qed.
Lemma leb_cases a b : (Sint63.leb a b = true /\ (val a <= val b)%Z) \/ (Sint63.leb a b = false /\ (val b < val a)%Z).
Proof. destruct (Sint63.lebP a b); [left|right]; split; auto; lia. Qed.
Lemma imin_1 a b : IZR (val (imin a b)) <= IZR (val a).
Proof. apply IZR_le. unfold imin. destruct (leb_cases a b) as [[-> ?]|[-> ?]]; lia. Qed.
Lemma imin_2 a b : IZR (val (imin a b)) <= IZR (val b).
Proof. apply IZR_le. unfold imin. destruct (leb_cases a b) as [[-> ?]|[-> ?]]; lia. Qed.
Lemma imax_1 a b : IZR (val (imax a b)) >= IZR (val a).
Proof. apply IZR_ge. unfold imax. destruct (leb_cases a b) as [[-> ?]|[-> ?]]; lia. Qed.
Lemma imax_2 a b : IZR (val (imax a b)) >= IZR (val b).
Proof. apply IZR_ge. unfold imax. destruct (leb_cases a b) as [[-> ?]|[-> ?]]; lia. Qed.

(** * One term: a weight in bounds times a difference in bounds *)
Definition weight_bound : Z := (2 ^ 26)%Z.
Definition gap_bound : Z := (2 ^ 33)%Z.

Lemma product_val w g : (0 <= val w <= weight_bound)%Z -> bounded gap_bound g ->
  val (w * g)%uint63 = (val w * val g)%Z /\ bounded term_bound (w * g)%uint63.
Proof.
  unfold bounded, weight_bound, gap_bound, term_bound. intros Hw Hg.
  assert (Hp : (- 2 ^ 59 <= val w * val g <= 2 ^ 59)%Z) by nia.
  assert (E : val (w * g)%uint63 = (val w * val g)%Z) by (apply val_mul; unfold fits; lia).
  rewrite E. split; [reflexivity|assumption].
Qed.

Lemma product_below lo hi g w G : (0 <= val lo <= weight_bound)%Z -> (0 <= val hi <= weight_bound)%Z -> bounded gap_bound g ->
  IZR (val lo) <= w <= IZR (val hi) -> IZR (val g) <= G ->
  let a := ((if Sint63.leb 0 g then lo else hi) * g)%uint63 in bounded term_bound a /\ IZR (val a) <= w * G.
Proof.
  intros Hlo Hhi Hg Hw HG a.
  assert (H0 : 0 <= IZR (val lo)) by (apply (IZR_le 0); lia).
  assert (HwG : w * IZR (val g) <= w * G) by (apply Rmult_le_compat_l; lra).
  unfold a. destruct (leb_cases 0 g) as [[-> Hs]|[-> Hs]]; change (val 0) with 0%Z in Hs;
    (split; [apply product_val; assumption|]); (eapply Rle_trans; [|exact HwG]).
  - rewrite (proj1 (product_val lo g Hlo Hg)), mult_IZR. apply Rmult_le_compat_r; [apply (IZR_le 0); assumption|lra].
  - rewrite (proj1 (product_val hi g Hhi Hg)), mult_IZR. apply IZR_lt in Hs. rewrite !(Rmult_comm _ (IZR (val g))). apply Rmult_le_compat_neg_l; lra.
Qed.

Lemma product_above lo hi g w G : (0 <= val lo <= weight_bound)%Z -> (0 <= val hi <= weight_bound)%Z -> bounded gap_bound g ->
  IZR (val lo) <= w <= IZR (val hi) -> G <= IZR (val g) ->
  let a := ((if Sint63.leb 0 g then hi else lo) * g)%uint63 in bounded term_bound a /\ IZR (val a) >= w * G.
Proof.
  intros Hlo Hhi Hg Hw HG a.
  assert (H0 : 0 <= IZR (val lo)) by (apply (IZR_le 0); lia).
  assert (HwG : w * G <= w * IZR (val g)) by (apply Rmult_le_compat_l; lra).
  unfold a. destruct (leb_cases 0 g) as [[-> Hs]|[-> Hs]]; change (val 0) with 0%Z in Hs;
    (split; [apply product_val; assumption|]); apply Rle_ge; (eapply Rle_trans; [exact HwG|]).
  - rewrite (proj1 (product_val hi g Hhi Hg)), mult_IZR. apply Rmult_le_compat_r; [apply (IZR_le 0); assumption|lra].
  - rewrite (proj1 (product_val lo g Hlo Hg)), mult_IZR. apply IZR_lt in Hs. rewrite !(Rmult_comm _ (IZR (val g))). apply Rmult_le_compat_neg_l; lra.
Qed.
