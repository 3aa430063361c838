(** Counting by boxes: sets of inputs that allow each position some tokens.  What a checker knows about a box is kept
    beside it, and split as it is split. *)
From Coq Require Import ZArith List Arith Bool Lia Uint63.
From CompactProofs Require Import Statement.
Import ListNotations.
Open Scope Z_scope.

Definition box := list (list nat).
Definition member (x : list nat) (b : box) : Prop := Forall2 (fun t ts => In t ts) x b.

(** * Sums over lists *)
Definition sum_over {A} (l : list A) (f : A -> Z) : Z := fold_right (fun a s => f a + s) 0 l.

Lemma sum_over_ext {A} (l : list A) f g : (forall a, In a l -> f a = g a) -> sum_over l f = sum_over l g.
Proof. induction l as [|a l IH]; intros H; simpl; [reflexivity|]. rewrite IH, (H a); simpl; auto. intros; apply H; simpl; auto. Qed.
Lemma sum_over_app {A} (l l' : list A) f : sum_over (l ++ l') f = sum_over l f + sum_over l' f.
Proof. induction l as [|a l IH]; simpl; [|rewrite IH]; lia. Qed.
Lemma sum_over_add {A} (l : list A) f g : sum_over l (fun a => f a + g a) = sum_over l f + sum_over l g.
Proof. induction l as [|a l IH]; simpl; [|rewrite IH]; lia. Qed.
Lemma sum_over_swap {A B} (l : list A) (l' : list B) f :
  sum_over l (fun a => sum_over l' (f a)) = sum_over l' (fun b => sum_over l (fun a => f a b)).
Proof.
  induction l as [|a l IH]; simpl.
  - induction l'; simpl; lia.
  - rewrite IH, <- sum_over_add. reflexivity.
Qed.
Lemma sum_over_map {A B} (g : A -> B) l f : sum_over (map g l) f = sum_over l (fun a => f (g a)).
Proof. induction l as [|a l IH]; simpl; [|rewrite IH]; reflexivity. Qed.
Lemma sum_over_scale {A} (l : list A) c : sum_over l (fun _ => c) = Z.of_nat (length l) * c.
Proof. induction l as [|a l IH]; simpl length; [reflexivity|]. simpl sum_over. rewrite IH. lia. Qed.

Lemma sum_over_nonneg {A} (l : list A) f : (forall a, 0 <= f a) -> 0 <= sum_over l f.
Proof. intros H. induction l as [|a l IH]; simpl; [lia|]. specialize (H a). lia. Qed.

(** * How many members of a box have a property *)
Fixpoint count (b : box) (P : list nat -> bool) : Z :=
  match b with
  | [] => if P [] then 1 else 0
  | ts :: b => sum_over ts (fun t => count b (fun x => P (t :: x)))
  end.

Fixpoint size {A} (b : list (list A)) : Z := match b with [] => 1 | ts :: b => Z.of_nat (length ts) * size b end.

Lemma count_ext b : forall P Q, (forall x, member x b -> P x = Q x) -> count b P = count b Q.
Proof.
  induction b as [|ts b IH]; intros P Q H; simpl.
  - rewrite H by constructor. reflexivity.
  - apply sum_over_ext; intros t Ht. apply IH; intros x Hx. apply H. constructor; assumption.
Qed.

Lemma count_all b : forall P, (forall x, member x b -> P x = true) -> count b P = size b.
Proof.
  induction b as [|ts b IH]; intros P H; simpl.
  - rewrite H by constructor. reflexivity.
  - rewrite <- sum_over_scale. apply sum_over_ext; intros t Ht. apply IH; intros x Hx. apply H. constructor; assumption.
Qed.

Lemma count_both b : forall P, count b P + count b (fun x => negb (P x)) = size b.
Proof.
  induction b as [|ts b IH]; intros P; simpl; [destruct (P []); reflexivity|].
  rewrite <- sum_over_add, <- sum_over_scale. apply sum_over_ext; intros t _. apply IH.
Qed.

Lemma size_nonneg {A} (b : list (list A)) : 0 <= size b.
Proof. induction b as [|ts b IH]; simpl; lia. Qed.

Lemma count_nonneg b : forall P, 0 <= count b P.
Proof.
  induction b as [|ts b IH]; intros P; simpl; [destruct (P []); lia|].
  induction ts as [|t ts IHt]; simpl; [lia|]. specialize (IH (fun x => P (t :: x))). lia.
Qed.

Lemma count_split b1 ts ts' b2 : forall P,
  count (b1 ++ (ts ++ ts') :: b2) P = count (b1 ++ ts :: b2) P + count (b1 ++ ts' :: b2) P.
Proof.
  induction b1 as [|us b1 IH]; intros P; simpl; [apply sum_over_app|].
  rewrite <- sum_over_add. apply sum_over_ext; intros t _. apply IH.
Qed.

Lemma count_inputs v n : forall P, Z.of_nat (length (filter P (inputs v n))) = count (repeat (seq 0 v) n) P.
Proof.
  induction n as [|n IH]; intros P; simpl; [destruct (P []); reflexivity|].
  revert IH. generalize (repeat (seq 0 v) n) as b. intros b IH.
  induction (seq 0 v) as [|t ts IHt]; simpl; [reflexivity|].
  rewrite filter_app, app_length, Nat2Z.inj_add, IHt, <- IH. f_equal.
  clear. induction (inputs v n) as [|x l IH]; simpl; [reflexivity|]. destruct (P (t :: x)); simpl length; lia.
Qed.

(** * What is known of a box: at least so many right answers, at least so many wrong ones *)
Definition result := (Z * Z)%type.
Definition none : result := (0, 0).
Definition both (r s : result) : result := (fst r + fst s, snd r + snd s).
Definition fair (P : list nat -> bool) (b : box) (r : result) : Prop :=
  fst r <= count b P /\ snd r <= count b (fun x => negb (P x)).

Lemma fair_none P b : fair P b none.
Proof. split; apply count_nonneg. Qed.

(** * Trees of splits *)
Inductive tree := Leaf | Split (position tokens : int) (first second : tree).

Section Split.
  Context {A : Type}.
  Fixpoint take (k : int) (l : list A) : list A * list A :=
    match l with
    | [] => ([], [])
    | a :: r => if (k =? 0)%uint63 then ([], l) else let (u, w) := take (k - 1)%uint63 r in (a :: u, w)
    end.
  Fixpoint halves (p k : int) (b : list (list A)) : option (list (list A) * list (list A)) :=
    match b with
    | [] => None
    | l :: b =>
        if (p =? 0)%uint63 then let (u, w) := take k l in Some (u :: b, w :: b)
        else match halves (p - 1)%uint63 k b with Some (u, w) => Some (l :: u, l :: w) | None => None end
    end.

  Variable leaf : list (list A) -> result.
  Fixpoint follow (t : tree) (b : list (list A)) : result :=
    match t with
    | Leaf => leaf b
    | Split p k t1 t2 => match halves p k b with Some (b1, b2) => both (follow t1 b1) (follow t2 b2) | None => none end
    end.

  (** R p t a: the fact a is true of token t at position p. *)
  Variable R : nat -> nat -> A -> Prop.
  Fixpoint facts (p : nat) (b : box) (l : list (list A)) : Prop :=
    match b, l with
    | [], [] => True
    | ts :: b, a :: l => Forall2 (R p) ts a /\ facts (S p) b l
    | _, _ => False
    end.

  Lemma take_facts p : forall ts l k, Forall2 (R p) ts l ->
    exists us ws, ts = us ++ ws /\ Forall2 (R p) us (fst (take k l)) /\ Forall2 (R p) ws (snd (take k l)).
  Proof.
    induction ts as [|t ts IH]; intros l k H; inversion_clear H as [|? a ? r Ha Hr].
    - exists [], []. repeat split; constructor.
    - simpl. destruct (k =? 0)%uint63.
      + exists [], (t :: ts). repeat split; constructor; assumption.
      + destruct (IH r (k - 1)%uint63 Hr) as (us & ws & -> & H1 & H2). destruct (take _ r) as [u w]. simpl in *.
        exists (t :: us), ws. repeat split; [constructor|]; assumption.
  Qed.

  Lemma halves_facts : forall b l p0 p k l1 l2, facts p0 b l -> halves p k l = Some (l1, l2) ->
    exists b1 b2, facts p0 b1 l1 /\ facts p0 b2 l2 /\ forall P, count b P = count b1 P + count b2 P.
  Proof.
    induction b as [|ts b IH]; intros [|a l] p0 p k l1 l2 Hf Hh; try discriminate; try contradiction.
    destruct Hf as [Ha Hl]. simpl in Hh. destruct (p =? 0)%uint63.
    - destruct (take_facts p0 ts a k Ha) as (us & ws & -> & H1 & H2). destruct (take k a) as [u w].
      injection Hh as <- <-. exists (us :: b), (ws :: b). simpl in *. repeat split; try assumption.
      intros P. exact (count_split [] us ws b P).
    - destruct (halves (p - 1) k l) as [[m1 m2]|] eqn:E; [|discriminate]. injection Hh as <- <-.
      destruct (IH l (S p0) _ k m1 m2 Hl E) as (b1 & b2 & H1 & H2 & H3). exists (ts :: b1), (ts :: b2).
      simpl. repeat split; try assumption. intros P. rewrite <- sum_over_add. apply sum_over_ext; intros; apply H3.
  Qed.

  Variable P : list nat -> bool.
  Hypothesis leaf_fair : forall b l, facts 0 b l -> fair P b (leaf l).

  Lemma follow_fair : forall t b l, facts 0 b l -> fair P b (follow t l).
  Proof.
    induction t as [|p k t1 IH1 t2 IH2]; intros b l Hf; simpl; [apply leaf_fair, Hf|].
    destruct (halves p k l) as [[l1 l2]|] eqn:E; [|apply fair_none].
    destruct (halves_facts b l _ p k l1 l2 Hf E) as (b1 & b2 & H1 & H2 & Hc).
    destruct (IH1 b1 l1 H1) as [A1 A2], (IH2 b2 l2 H2) as [B1 B2]. unfold fair. rewrite !Hc. simpl. lia.
  Qed.
End Split.

(** * The largest token: where it comes first, with smaller tokens before it *)
Section Largest.
  Context {A : Type} (join : A -> A -> A).
  Definition joined (a : A * A) : A := join (fst a) (snd a).
  (** From what holds of the smaller tokens and of the largest one, at each position. *)
  Fixpoint first_largest (l : list (A * A)) : list (list A) :=
    match l with [] => [] | a :: l => (snd a :: map joined l) :: map (cons (fst a)) (first_largest l) end.
End Largest.

Lemma count_largest (l : list (list nat * list nat)) rest : forall P,
  count (map (joined (@app nat)) l ++ rest) P =
  count (map fst l ++ rest) P + sum_over (first_largest (@app nat) l) (fun b => count (b ++ rest) P).
Proof.
  induction l as [|[lo own] l IH]; intros P; simpl; [lia|]. unfold joined at 1. simpl.
  rewrite sum_over_app, sum_over_map. simpl. rewrite (sum_over_ext lo _ _ (fun t _ => IH (fun x => P (t :: x)))).
  rewrite sum_over_add, (sum_over_swap lo). lia.
Qed.

Lemma map_repeat {A B} (f : A -> B) a k : map f (repeat a k) = repeat (f a) k.
Proof. induction k as [|k IH]; simpl; [|rewrite IH]; reflexivity. Qed.

(** All inputs that end in q, by the largest of the tokens, from q on. *)
Definition with_largest (k q m : nat) : list box :=
  if (m =? q)%nat then [repeat (seq 0 (S m)) k] else first_largest (@app nat) (repeat (seq 0 m, [m]) k).

Lemma count_by_largest k q j P :
  sum_over (seq q (S j)) (fun m => sum_over (with_largest k q m) (fun b => count (b ++ [[q]]) P)) =
  count (repeat (seq 0 (S (q + j))) k ++ [[q]]) P.
Proof.
  induction j as [|j IH].
  - cbn [seq sum_over fold_right]. unfold with_largest. rewrite Nat.eqb_refl, Nat.add_0_r.
    cbn [sum_over fold_right]. change (0%nat :: seq 1 q) with (seq 0 (S q)). lia.
  - rewrite seq_S, sum_over_app, IH. cbn [sum_over fold_right]. rewrite <- Nat.add_succ_comm. cbn [Nat.add].
    unfold with_largest. replace (_ =? q)%nat with false by (symmetry; apply Nat.eqb_neq; lia).
    rewrite (seq_S (S (q + j))). cbn [Nat.add].
    pose proof (count_largest (repeat (seq 0 (S (q + j)), [S (q + j)]) k) [[q]] P) as H. rewrite !map_repeat in H.
    rewrite Z.add_0_r. symmetry. exact H.
Qed.

(** All inputs, by the last token. *)
Lemma count_by_last v k P : count (repeat (seq 0 v) (S k)) P =
  sum_over (seq 0 v) (fun q => count (repeat (seq 0 v) k ++ [[q]]) P).
Proof.
  replace (repeat (seq 0 v) (S k)) with (repeat (seq 0 v) k ++ [seq 0 v]).
  - generalize (repeat (seq 0 v) k) as b. intros b. revert P. induction b as [|ts b IH]; intros P; simpl.
    + apply sum_over_ext; intros; lia.
    + rewrite (sum_over_ext ts _ _ (fun t _ => IH (fun x => P (t :: x)))), (sum_over_swap ts). reflexivity.
  - symmetry. apply (repeat_cons k (seq 0 v)).
Qed.

Theorem count_by_classes v k P : count (repeat (seq 0 v) (S k)) P =
  sum_over (seq 0 v) (fun q => sum_over (seq q (v - q)) (fun m =>
    sum_over (with_largest k q m) (fun b => count (b ++ [[q]]) P))).
Proof.
  rewrite count_by_last. apply sum_over_ext; intros q Hq. apply in_seq in Hq.
  destruct (v - q)%nat as [|j] eqn:E; [lia|]. rewrite count_by_largest. replace (S (q + j)) with v by lia. reflexivity.
Qed.
