(** A shorter argument, of which the work grows with the cube of the number of tokens: outputs are taken at their worst
    before anything else, for the direct path and for what a token writes apart.  Then a token other than the largest is
    good or not, whatever the output; inputs with good tokens only are right.

    This is the strategy `cubic`, with the difference that each set of positions of the largest token is looked at by
    itself, not by the two that are most extreme: what is counted is never less. *)
From Coq Require Import Reals ZArith List Arith Bool Lia Lra Uint63 Sint63.
From Bignums Require Import BigZ.
From Flocq Require Import Core.
From CompactProofs Require Import Statement Softmax Tables Exponentials Boxes Vectors Classes Checker.
Import ListNotations.
Open Scope R_scope.

(** * Which positions hold the largest token *)

Fixpoint patterns (k : nat) : list (list bool) :=
  match k with O => [[]] | S k => map (cons true) (patterns k) ++ map (cons false) (patterns k) end.
(** All patterns but that of no position. *)
Fixpoint some_position (k : nat) : list (list bool) :=
  match k with O => [] | S k => map (cons true) (patterns k) ++ map (cons false) (some_position k) end.

Definition spread (m : nat) (others : list nat) (s : list bool) : box := map (fun b : bool => if b then [m] else others) s.

(** Sums over patterns of which the first position is given *)
Lemma sum_true l m others rest P :
  sum_over (map (cons true) l) (fun s => count (spread m others s ++ rest) P) =
  sum_over l (fun s => count (spread m others s ++ rest) (fun x => P (m :: x))).
Proof. rewrite sum_over_map. apply sum_over_ext; intros s _. simpl. unfold spread. lia. Qed.

Lemma sum_false l m others rest P :
  sum_over (map (cons false) l) (fun s => count (spread m others s ++ rest) P) =
  sum_over others (fun t => sum_over l (fun s => count (spread m others s ++ rest) (fun x => P (t :: x)))).
Proof. rewrite sum_over_map, (sum_over_swap others). reflexivity. Qed.

Lemma count_patterns m rest k : forall P,
  sum_over (patterns k) (fun s => count (spread m (seq 0 m) s ++ rest) P) = count (repeat (seq 0 (S m)) k ++ rest) P.
Proof.
  induction k as [|k IH]; intros P; [simpl; lia|]. cbn [patterns]. rewrite sum_over_app, sum_true, sum_false, IH.
  rewrite (sum_over_ext (seq 0 m) _ _ (fun t _ => IH (fun x => P (t :: x)))).
  change (repeat (seq 0 (S m)) (S k)) with (seq 0 (S m) :: repeat (seq 0 (S m)) k).
  generalize (repeat (seq 0 (S m)) k) as b. intros b.
  replace (seq 0 (S m)) with (seq 0 m ++ [m]) by (symmetry; exact (seq_S m 0)).
  cbn [app count]. rewrite sum_over_app. cbn [sum_over fold_right]. lia.
Qed.

Lemma count_some_position m rest k : forall P,
  sum_over (some_position k) (fun s => count (spread m (seq 0 m) s ++ rest) P) =
  sum_over (first_largest (@app nat) (repeat (seq 0 m, [m]) k)) (fun b => count (b ++ rest) P).
Proof.
  induction k as [|k IH]; intros P; [reflexivity|]. cbn [some_position repeat first_largest snd fst].
  rewrite sum_over_app, sum_true, sum_false, count_patterns.
  rewrite (sum_over_ext (seq 0 m) _ _ (fun t _ => IH (fun x => P (t :: x)))).
  cbn [sum_over fold_right]. rewrite map_repeat. f_equal.
  - unfold joined; cbn [fst snd app count sum_over fold_right]. rewrite Z.add_0_r.
    replace (seq 0 m ++ [m]) with (seq 0 (S m)) by exact (seq_S m 0). reflexivity.
  - rewrite sum_over_swap. symmetry. apply (sum_over_map (cons (seq 0 m)) _ (fun b => count (b ++ rest) P)).
Qed.

(** The patterns of a class *)
Definition class_patterns (k q m : nat) : list (list bool) := if (m =? q)%nat then patterns k else some_position k.

Lemma count_class_patterns k q m rest P :
  sum_over (class_patterns k q m) (fun s => count (spread m (seq 0 m) s ++ rest) P) =
  sum_over (with_largest k q m) (fun b => count (b ++ rest) P).
Proof.
  unfold class_patterns, with_largest. destruct (m =? q)%nat; [|apply count_some_position].
  rewrite count_patterns. cbn [sum_over fold_right]. lia.
Qed.

(** The tokens whose flag is true *)
Fixpoint flagged (flags : list bool) (ts : list nat) : list nat :=
  match flags, ts with
  | b :: flags, t :: ts => if b then t :: flagged flags ts else flagged flags ts
  | _, _ => []
  end.

Lemma in_flagged t : forall flags ts, In t (flagged flags ts) -> In t ts.
Proof.
  induction flags as [|b flags IH]; intros [|t' ts]; simpl; try contradiction.
  destruct b; simpl; [intros [H|H]; auto|auto].
Qed.

Lemma sum_over_flagged f : (forall a, 0 <= f a)%Z -> forall flags ts, (sum_over (flagged flags ts) f <= sum_over ts f)%Z.
Proof.
  intros Hf. induction flags as [|b flags IH]; intros [|t ts]; simpl; try lia.
  - pose proof (sum_over_nonneg ts f Hf). specialize (Hf t). lia.
  - specialize (Hf t). specialize (IH ts). destruct b; simpl; lia.
Qed.

Lemma sum_over_le {A} (l : list A) f g : (forall a, In a l -> f a <= g a)%Z -> (sum_over l f <= sum_over l g)%Z.
Proof.
  induction l as [|a l IH]; intros H; simpl; [lia|]. specialize (IH (fun b Hb => H b (or_intror Hb))).
  specialize (H a (or_introl eq_refl)). lia.
Qed.

Lemma count_flagged m flags rest s : forall P,
  (count (spread m (flagged flags (seq 0 m)) s ++ rest) P <= count (spread m (seq 0 m) s ++ rest) P)%Z.
Proof.
  induction s as [|b s IH]; intros P; [simpl; lia|]. cbn [spread map app count]. destruct b.
  - apply sum_over_le. intros t _. apply IH.
  - eapply Z.le_trans; [apply sum_over_le; intros t _; apply IH|]. apply sum_over_flagged. intros; apply count_nonneg.
Qed.

Lemma patterns_length k : forall s, In s (patterns k) -> length s = k.
Proof.
  induction k as [|k IH]; simpl; [intros s [<-|[]]; reflexivity|]. intros s Hs.
  apply in_app_or in Hs as [Hs|Hs]; apply in_map_iff in Hs as (r & <- & Hr); simpl; rewrite (IH r Hr); reflexivity.
Qed.

Lemma some_position_is k : forall s, In s (some_position k) -> length s = k /\ In true s.
Proof.
  induction k as [|k IH]; simpl; [intros s []|]. intros s Hs.
  apply in_app_or in Hs as [Hs|Hs]; apply in_map_iff in Hs as (r & <- & Hr); simpl.
  - rewrite (patterns_length k r Hr). auto.
  - destruct (IH r Hr) as [-> H]. auto.
Qed.

Lemma spread_members m others s : (forall t, In t others -> (t <= m)%nat) -> forall x, member x (spread m others s) ->
  length x = length s /\ (forall t, In t x -> (t <= m)%nat) /\ (In true s -> In m x).
Proof.
  intros Ho. induction s as [|b s IH]; intros x Hx; inversion_clear Hx as [|t ? y ? Ht Hy]; simpl; [tauto|].
  destruct (IH y Hy) as (H1 & H2 & H3). rewrite H1. split; [reflexivity|]. destruct b.
  - destruct Ht as [<-|[]]. split; [|auto]. intros t [<-|H]; auto.
  - split; [intros u [<-|H]; auto|]. intros [H|H]; [discriminate|auto].
Qed.

(** * The check *)
Definition least_of (l : list Z) : Z := fold_right Z.min (hd 0%Z l) l.

Lemma least_of_le l z : In z l -> (least_of l <= z)%Z.
Proof.
  unfold least_of. generalize (hd 0%Z l) as d. intros d. induction l as [|y l IH]; simpl; [contradiction|].
  intros [->|H]; [lia|]. specialize (IH H). lia.
Qed.

Definition low_product (w : Z * Z) (g : Z) : Z := if (0 <=? g)%Z then (fst w * g)%Z else (snd w * g)%Z.

Lemma low_product_le w g r G : IZR (fst w) <= r <= IZR (snd w) -> 0 <= r -> IZR g <= G -> IZR (low_product w g) <= r * G.
Proof.
  intros Hw H0 HG. apply Rle_trans with (r * IZR g); [|apply Rmult_le_compat_l; assumption].
  unfold low_product. destruct (Z.leb_spec 0 g) as [H|H]; rewrite mult_IZR.
  - apply Rmult_le_compat_r; [apply (IZR_le 0), H|apply Hw].
  - apply IZR_lt in H. rewrite !(Rmult_comm _ (IZR g)). apply Rmult_le_compat_neg_l; [lra|apply Hw].
Qed.

Section Sum.
  Variable term : nat -> nat -> Z. (* position, token *)
  Fixpoint low_sum (p : nat) (b : box) : Z :=
    match b with [] => 0%Z | ts :: b => (least_of (map (term p) ts) + low_sum (S p) b)%Z end.

  Lemma low_sum_le (f : nat -> nat -> nat -> R) o : forall b p x, member x b ->
    (forall i, (i < length b)%nat -> IZR (term (p + i)%nat (nth i x O)) <= f (p + i)%nat (nth i x O) o) ->
    IZR (low_sum p b) <= along f p x o.
  Proof.
    induction b as [|ts b IH]; intros p x Hx Hf; inversion Hx as [|t ? y ? Ht Hy]; subst; simpl; [lra|].
    rewrite plus_IZR. apply Rplus_le_compat.
    - specialize (Hf O ltac:(simpl; lia)). rewrite Nat.add_0_r in Hf. eapply Rle_trans; [|exact Hf].
      apply IZR_le, least_of_le, in_map, Ht.
    - apply IH; [assumption|]. intros i Hi. specialize (Hf (S i) ltac:(simpl; lia)).
      rewrite <- Nat.add_succ_comm in Hf. exact Hf.
  Qed.
End Sum.

Section Leads.
  Variables (v k m : nat) (writes : nat -> nat -> Z) (at_p : nat -> nat -> Z). (* token, output; position, output *)

  Definition rivals : list nat := filter (fun o => negb (o =? m)%nat) (seq 0 v).
  (** By how much each token leads at least, at the worst position, on the worst output *)
  Definition token_leads : list Z :=
    let worst := map (fun o => (o, least_of (map (fun p => at_p p m - at_p p o)%Z (seq 0 (S k))))) rivals in
    map (fun t => least_of (map (fun ow => writes t m - writes t (fst ow) + snd ow)%Z worst)) (seq 0 (S m)).

  Lemma in_rivals o : In o rivals <-> (o < v)%nat /\ o <> m.
  Proof. unfold rivals. rewrite filter_In, in_seq, negb_true_iff, Nat.eqb_neq. lia. Qed.

  Lemma token_leads_le p t o : (p <= k)%nat -> (t <= m)%nat -> In o rivals ->
    (nth t token_leads 0%Z <= writes t m - writes t o + (at_p p m - at_p p o))%Z.
  Proof.
    intros Hp Ht Ho. unfold token_leads. cbv zeta. rewrite nth_map_seq by lia. rewrite map_map. cbn [fst snd].
    set (worst := fun o => least_of (map (fun p => at_p p m - at_p p o)%Z (seq 0 (S k)))).
    assert (H1 : (worst o <= at_p p m - at_p p o)%Z).
    { apply least_of_le, (in_map (fun p => at_p p m - at_p p o)%Z), in_seq. lia. }
    eapply Z.le_trans; [apply least_of_le, (in_map (fun o => writes t m - writes t o + worst o)%Z), Ho|]. lia.
  Qed.
End Leads.

(** Bounds of terms from below, in machine integers *)
Definition pair_of_ints := (list int * int)%type. (* at one position: of the tokens below the largest one, and of that *)

Section Patterns.
  Variable m : nat.
  Fixpoint least_flagged (flags : list bool) (row : list int) : int :=
    match flags, row with
    | b :: flags, a :: row => if b then imin a (least_flagged flags row) else least_flagged flags row
    | _, _ => huge
    end.
  Fixpoint low (flags : list bool) (s : list bool) (rows : list pair_of_ints) (last : int) : int :=
    match s, rows with
    | b :: s, r :: rows => ((if b then snd r else least_flagged flags (fst r)) + low flags s rows last)%uint63
    | _, _ => last
    end.
  (** The same for each token, where it is at all positions that do not have the largest one *)
  Fixpoint token_sums (s : list bool) (rows : list pair_of_ints) (last : int) : list int :=
    match s, rows with
    | b :: s, r :: rows =>
        let sums := token_sums s rows last in
        if b then let own := snd r in map (fun z => own + z)%uint63 sums else zip (fun a z => a + z)%uint63 (fst r) sums
    | _, _ => map (fun _ => last) (seq 0 m)
    end.
End Patterns.

Section Class.
  Variables (v k q m : nat).
  Variables (direct_ : nat -> Z) (writes : nat -> nat -> Z) (at_p : nat -> nat -> Z). (* output; token, output; position, output *)
  Variable leads : list Z.
  Variable weights : list (list (Z * Z)). (* position, token *)
  Notation rivals := (rivals v m).
  Notation weight p t := (nth t (nth p weights []) (-1, -1)%Z).

  (** For one output alone, used where only the largest token and the last one occur *)
  Definition exact_term (cut_off : Z) (o p t : nat) : Z :=
    low_product (shrink cut_off (weight p t))
      (direct_ m - direct_ o + (writes t m - writes t o) + (at_p p m - at_p p o) - 3)%Z.

  Definition gaps : list Z :=
    let lead_direct := (least_of (map (fun o => direct_ m - direct_ o) rivals) - 3)%Z in
    map (fun t => (lead_direct + nth t leads 0)%Z) (seq 0 (S m)).

  Section Terms.
    Variables (cut_off : Z) (ints : list (list (int * int))) (gap_ints : list int).
    Definition term (p t : nat) : int :=
      let (lo, hi) := nth t (nth p ints []) (0, 0)%uint63 in
      let g := nth t gap_ints 0%uint63 in ((if Sint63.leb 0 g then lo else hi) * g)%uint63.
    Definition position (p : nat) : pair_of_ints := (map (term p) (seq 0 m), term p m).

    Definition certain (z : int) (s : list bool) (b : box) : bool :=
      if is_positive z then true
      else if forallb (fun c : bool => c) s then forallb (fun o => 0 <? low_sum (exact_term cut_off o) 0 b)%Z rivals
      else false.

    Definition of_pattern (rows : list pair_of_ints) (last : int) (s : list bool) : Z :=
      let flags := map is_positive (token_sums m s rows last) in
      let b := spread m (flagged flags (seq 0 m)) s ++ [[q]] in
      if certain (low flags s rows last) s b then size b else 0%Z.
  End Terms.

  Definition cubic_class : Z :=
    let cut_off := shift k m weights in
    let ws := map (map (shrink cut_off)) (in_class k m weights) in
    let gs := gaps in
    if forallb (forallb sound_weight) ws && forallb (fun g => (- gap_bound <=? g) && (g <=? gap_bound))%Z gs then
      let ints := map (map (fun w => (of_Z (fst w), of_Z (snd w)))) ws in
      let gap_ints := map of_Z gs in
      let rows := map (position ints gap_ints) (seq 0 k) in
      let last := term ints gap_ints k q in
      sum_over (class_patterns k q m) (of_pattern cut_off rows last)
    else 0%Z.

  Variables (w : nat -> nat -> R) (gap : nat -> nat -> nat -> R).
  Hypothesis few_positions : (S k <= most_positions)%nat.
  Hypothesis w_positive : forall p t, 0 <= w p t.
  Hypothesis q_le_m : (q <= m)%nat.
  Hypothesis m_lt_v : (m < v)%nat.
  Hypothesis weights_are : forall p t, (p <= k)%nat -> (t <= m)%nat -> IZR (fst (weight p t)) <= w p t <= IZR (snd (weight p t)).
  Hypothesis gap_is : forall p t o, (p <= k)%nat -> (t <= m)%nat -> (o < v)%nat ->
    IZR (direct_ m - direct_ o + (writes t m - writes t o) + (at_p p m - at_p p o) - 3) <= gap p t o.
  Hypothesis leads_are : forall p t o, (p <= k)%nat -> (t <= m)%nat -> In o rivals ->
    (nth t leads 0%Z <= writes t m - writes t o + (at_p p m - at_p p o))%Z.
  Definition cubic_f (p t o : nat) : R := w p t / IZR (2 ^ shift k m weights) * gap p t o.

  Lemma scaled_positive p t : 0 <= w p t / IZR (2 ^ shift k m weights).
  Proof.
    unfold Rdiv. apply Rmult_le_pos; [apply w_positive|]. apply Rlt_le, Rinv_0_lt_compat, pow2_positive; unfold shift; lia.
  Qed.

  Lemma exact_term_le o p t : In o rivals -> (p <= k)%nat -> (t <= m)%nat ->
    IZR (exact_term (shift k m weights) o p t) <= cubic_f p t o.
  Proof.
    intros Ho Hp Ht. rewrite in_rivals in Ho. apply low_product_le.
    - apply (shrink_sound v k q m); auto.
    - apply scaled_positive.
    - apply gap_is; tauto.
  Qed.

  Section Sound.
    Let ws := map (map (shrink (shift k m weights))) (in_class k m weights).
    Hypothesis weights_sound : forallb (forallb sound_weight) ws = true.
    Hypothesis gaps_small : forallb (fun g => (- gap_bound <=? g) && (g <=? gap_bound))%Z gaps = true.
    Let ints := map (map (fun w => (of_Z (fst w), of_Z (snd w)))) ws.
    Notation least_term := (term ints (map of_Z gaps)).

    Lemma gap_below t : (t <= m)%nat -> let g := nth t (map of_Z gaps) 0%uint63 in
      bounded gap_bound g /\ forall p o, (p <= k)%nat -> In o rivals -> IZR (val g) <= gap p t o.
    Proof.
      intros Ht. cbv zeta. unfold gaps in *. cbv zeta in *. set (lead := (least_of _ - 3)%Z) in *. rewrite map_map.
      rewrite (nth_map_seq (fun t => of_Z (lead + nth t leads 0)%Z)) by lia.
      rewrite forallb_forall in gaps_small. specialize (gaps_small (lead + nth t leads 0)%Z
        ltac:(apply in_map_iff; exists t; split; [reflexivity|apply in_seq; lia])).
      apply andb_true_iff in gaps_small as [H1 H2]. apply Z.leb_le in H1, H2. unfold bounded, gap_bound in *.
      rewrite val_of_Z by (unfold fits; lia). split; [lia|]. intros p o Hp Ho.
      eapply Rle_trans; [|apply gap_is; [assumption..|apply (in_rivals v m), Ho]]. apply IZR_le.
      pose proof (leads_are p t o Hp Ht Ho).
      assert (least_of (map (fun o => direct_ m - direct_ o) rivals) <= direct_ m - direct_ o)%Z; [|unfold lead; lia].
      apply least_of_le, (in_map (fun o => direct_ m - direct_ o)%Z), Ho.
    Qed.

    Lemma term_below p t : (p <= k)%nat -> (t <= m)%nat ->
      bounded term_bound (least_term p t) /\ forall o, In o rivals -> IZR (val (least_term p t)) <= cubic_f p t o.
    Proof.
      intros Hp Ht. destruct (gap_below t Ht) as [Hb Hg].
      pose proof (ints_are v k q m weights w few_positions q_le_m m_lt_v
        (fun p t Hp Ht _ => weights_are p t Hp Ht) weights_sound p t Hp Ht) as Hi.
      unfold term. change (map (map (fun w0 : Z * Z => (of_Z (fst w0), of_Z (snd w0)))) _) with ints in Hi.
      destruct (nth t (nth p ints []) (0, 0)%uint63) as [lo hi]. destruct Hi as (H1 & H2 & H3). split.
      - apply (product_below lo hi _ _ (IZR (val (nth t (map of_Z gaps) 0%uint63))) H1 H2 Hb H3), Rle_refl.
      - intros o Ho. apply (product_below lo hi _ _ (gap p t o) H1 H2 Hb H3), Hg; assumption.
    Qed.

    Lemma least_flagged_below p : (p <= k)%nat -> forall ts, (forall t, In t ts -> (t <= m)%nat) -> forall flags,
      let z := least_flagged flags (map (least_term p) ts) in
      bounded term_bound z /\ forall t, In t (flagged flags ts) -> (val z <= val (least_term p t))%Z.
    Proof.
      intros Hp. assert (Hh : bounded term_bound huge) by (unfold bounded, term_bound; vm_compute; split; discriminate).
      induction ts as [|t ts IH]; intros Hts [|b flags]; cbv zeta; cbn [map least_flagged flagged];
        try (split; [exact Hh|intros t' []]).
      destruct (IH (fun t Ht => Hts t (or_intror Ht)) flags) as [H1 H2]. destruct b; [|split; assumption].
      destruct (term_below p t Hp (Hts t (or_introl eq_refl))) as [H3 _].
      pose proof (imin_1 (least_term p t) (least_flagged flags (map (least_term p) ts))) as I1. apply le_IZR in I1.
      pose proof (imin_2 (least_term p t) (least_flagged flags (map (least_term p) ts))) as I2. apply le_IZR in I2.
      split; [destruct (imin_is (least_term p t) (least_flagged flags (map (least_term p) ts))) as [-> | ->]; assumption|].
      intros t' [<-|Ht']; [exact I1|]. specialize (H2 t' Ht'). lia.
    Qed.

    Lemma low_below flags : forall s p, (p + length s)%nat = k ->
      let z := low flags s (map (position ints (map of_Z gaps)) (seq p (length s))) (least_term k q) in
      bounded (Z.of_nat (S (length s)) * term_bound) z /\
      forall x o, In o rivals -> member x (spread m (flagged flags (seq 0 m)) s ++ [[q]]) -> IZR (val z) <= along cubic_f p x o.
    Proof.
      induction s as [|b s IH]; intros p Hp; cbv zeta.
      - simpl in Hp. rewrite Nat.add_0_r in Hp. subst p. destruct (term_below k q ltac:(lia) q_le_m) as [H1 H2].
        split; [exact H1|]. intros x o Ho Hx. inversion_clear Hx as [|t ? y ? Ht Hy]. inversion_clear Hy. destruct Ht as [<-|[]].
        cbn [along]. rewrite Rplus_0_r. apply H2, Ho.
      - simpl length in *. destruct (IH (S p) ltac:(lia)) as [H1 H2]. cbn [seq map low]. set (z := low _ _ _ _) in *.
        assert (Hc : let c := if b then snd (position ints (map of_Z gaps) p)
            else least_flagged flags (fst (position ints (map of_Z gaps) p)) in
          bounded term_bound c /\ forall t o, In o rivals -> In t (if b then [m] else flagged flags (seq 0 m)) ->
            IZR (val c) <= cubic_f p t o).
        { cbv zeta. unfold position; cbn [fst snd]. destruct b.
          - destruct (term_below p m ltac:(lia) (Nat.le_refl m)) as [H3 H4]. split; [exact H3|].
            intros t o Ho [<-|[]]. apply H4, Ho.
          - assert (Hts : forall t, In t (seq 0 m) -> (t <= m)%nat) by (intros t Ht; apply in_seq in Ht; lia).
            destruct (least_flagged_below p ltac:(lia) (seq 0 m) Hts flags) as [H3 H4]. split; [exact H3|].
            intros t o Ho Ht. eapply Rle_trans; [apply IZR_le, H4, Ht|].
            apply term_below; [lia|apply Hts, (in_flagged t flags), Ht|exact Ho]. }
        cbv zeta in Hc. set (c := if b then _ else _) in *. destruct Hc as [H3 H4].
        unfold bounded, term_bound, most_positions in *.
        assert (E : val (c + z)%uint63 = (val c + val z)%Z).
        { apply val_add. unfold fits. assert (Z.of_nat (S (length s)) <= 6)%Z by lia. nia. }
        rewrite E. split; [lia|]. intros x o Ho Hx. inversion_clear Hx as [|t ? y ? Ht Hy].
        rewrite plus_IZR. simpl. apply Rplus_le_compat; [apply H4; assumption|apply H2; assumption].
    Qed.
  End Sound.

  Variable P : list nat -> bool.
  Hypothesis P_is : forall x, length x = S k -> nth k x O = q -> largest x = m -> (forall t, In t x -> (t <= m)%nat) ->
    (forall o, In o rivals -> 0 < along cubic_f 0 x o) -> P x = true.

  Lemma class_members s flags x : In s (class_patterns k q m) -> member x (spread m (flagged flags (seq 0 m)) s ++ [[q]]) ->
    length s = k /\ length x = S k /\ nth k x O = q /\ largest x = m /\ forall t, In t x -> (t <= m)%nat.
  Proof.
    intros Hs Hx. assert (Hlen : length s = k).
    { unfold class_patterns in Hs. destruct (m =? q)%nat; [apply patterns_length, Hs|apply some_position_is, Hs]. }
    apply Forall2_app_inv_r in Hx as (y & z & Hy & Hz & ->).
    inversion_clear Hz as [|t ? r ? Ht Hr]. inversion_clear Hr. destruct Ht as [<-|[]].
    destruct (spread_members m (flagged flags (seq 0 m)) s) with (x := y) as (L1 & L2 & L3); [|assumption|].
    { intros t Ht. apply in_flagged, in_seq in Ht. lia. }
    assert (HA : forall t, In t (y ++ [q]) -> (t <= m)%nat).
    { intros t Ht. apply in_app_or in Ht as [Ht|[<-|[]]]; auto. }
    assert (Hin : In m (y ++ [q])).
    { apply in_or_app. unfold class_patterns in Hs. destruct (Nat.eqb_spec m q) as [->|_]; [right; simpl; auto|].
      left. apply L3, (some_position_is k s Hs). }
    repeat split; [exact Hlen|rewrite app_length, L1, Hlen; simpl; lia| |apply largest_eq; assumption|exact HA].
    rewrite <- Hlen, <- L1, app_nth2, Nat.sub_diag by lia. reflexivity.
  Qed.

  Theorem cubic_class_sound : (cubic_class <= sum_over (with_largest k q m) (fun b => count (b ++ [[q]]) P))%Z.
  Proof.
    rewrite <- count_class_patterns. unfold cubic_class. cbv zeta. destruct (_ && _) eqn:Eok.
    2:{ apply sum_over_nonneg. intros; apply count_nonneg. }
    apply andb_true_iff in Eok as [Ews Egs]. apply sum_over_le. intros s Hs. unfold of_pattern. cbv zeta.
    set (rows := map _ (seq 0 k)). set (z0 := term _ _ k q). set (flags := map is_positive _).
    destruct (certain _ _ _ _) eqn:E; [|apply count_nonneg].
    eapply Z.le_trans; [|apply (count_flagged m flags)]. apply Z.eq_le_incl. symmetry. apply count_all. intros x Hx.
    destruct (class_members s flags x Hs Hx) as (L0 & L1 & L2 & L3 & L4). apply P_is; try assumption. intros o Ho.
    unfold certain in E. destruct (is_positive (low flags s rows z0)) eqn:E'.
    - destruct (low_below Ews Egs flags s O L0) as [_ H]. rewrite L0 in H. fold rows z0 in H. specialize (H x o Ho Hx).
      unfold is_positive in E'. destruct (Sint63.ltbP 0 (low flags s rows z0)) as [Hz|]; [|discriminate].
      change (val 0) with 0%Z in Hz. apply IZR_lt in Hz. lra.
    - destruct (forallb (fun c => c) s); [|discriminate].
      assert (Hb : length (spread m (flagged flags (seq 0 m)) s ++ [[q]]) = S k).
      { rewrite (Forall2_same_length _ _ _ Hx). exact L1. }
      assert (Hx4 : forall i, (nth i x O <= m)%nat).
      { intros i. destruct (nth_in_or_default i x O) as [H| ->]; [apply L4, H|lia]. }
      rewrite forallb_forall in E. specialize (E o Ho). apply Z.ltb_lt, IZR_lt in E.
      eapply Rlt_le_trans; [exact E|]. apply low_sum_le; [exact Hx|].
      intros i Hi. apply exact_term_le; [assumption|lia|apply Hx4].
  Qed.
End Class.

(** * All classes *)
Section CubicRun.
  Variables (M : model) (h : hints).
  Let v := tokens M.
  Let k := Nat.pred (positions M).

  Definition rounded_direct (T : tables) (q o : nat) : Z :=
    round M h (BigZ.shiftl (cell (direct T) q o) (BigZ.of_Z (2 * Z.of_nat (exponent M)))).
  Definition rounded_at (T : tables) (p o : nat) : Z := round M h (cell (written_at T) p o).
  Definition table (f : nat -> nat -> Z) (rows columns : nat) : list (list Z) :=
    map (fun i => map (f i) (seq 0 columns)) (seq 0 rows).
  Definition look (A : list (list Z)) (i j : nat) : Z := nth j (nth i A []) 0%Z.

  Definition cubic : Z :=
    if negb (tidy M && (S k <=? most_positions)%nat && (0 <=? cut M h)%Z) then 0%Z else
    let T := tables_of M in
    let d := table (rounded_direct T) v v in
    let e := table (rounded_written M h T) v v in
    let a := table (rounded_at T) (S k) v in
    let W := all_weights M T (F.PtoP (precision h)) (unit h) in
    if negb (forallb (fun q => forallb (fun p => forallb (fun t => 0 <=? fst (weight_of W q p t))%Z (seq 0 v)) (seq 0 (S k))) (seq 0 v))
    then 0%Z else
    let leads := map (fun m => token_leads v k m (look e) (look a)) (seq 0 v) in
    sum_over (seq 0 v) (fun q => let d := nth q d [] in let W := nth q W [] in
      sum_over (seq q (v - q)) (fun m =>
        cubic_class v k q m (fun o => nth o d 0%Z) (look e) (look a) (nth m leads []) W)).

  Lemma look_table f r c i j : (i < r)%nat -> (j < c)%nat -> look (table f r c) i j = f i j.
  Proof. intros Hi Hj. unfold look, table. rewrite nth_map_seq by assumption. apply (nth_map_seq (f i)), Hj. Qed.

  Lemma gap_apart q t p m o : (0 <= cut M h)%Z -> let T := tables_of M in
    IZR (rounded_direct T q m - rounded_direct T q o + (rounded_written M h T t m - rounded_written M h T t o) +
      (rounded_at T p m - rounded_at T p o) - 3) <= (wrote M q t p m - wrote M q t p o) / IZR (2 ^ cut M h).
  Proof.
    intros Hcut T.
    unfold rounded_direct, rounded_written, rounded_at, round.
    rewrite !BigZ.spec_shiftr, !BigZ.spec_shiftl, !BigZ.spec_of_Z.
    assert (H : forall o, let d := Z.shiftr (Z.shiftl (toZ (cell (direct T) q o)) (2 * Z.of_nat (exponent M))) (cut M h) in
      let e := Z.shiftr (toZ (cell (written T) t o)) (cut M h) in let a := Z.shiftr (toZ (cell (written_at T) p o)) (cut M h) in
      IZR d + IZR e + IZR a <= wrote M q t p o / IZR (2 ^ cut M h) <= IZR d + IZR e + IZR a + 3).
    { intros o'. cbv zeta. unfold wrote. fold T. rewrite Z.shiftl_mul_pow2 by lia.
      pose proof (floor_bounds (toZ (cell (direct T) q o') * 2 ^ (2 * Z.of_nat (exponent M))) _ Hcut) as F1.
      pose proof (floor_bounds (toZ (cell (written T) t o')) _ Hcut) as F2.
      pose proof (floor_bounds (toZ (cell (written_at T) p o')) _ Hcut) as F3.
      rewrite mult_IZR in F1. replace (IZR (2 ^ (2 * Z.of_nat (exponent M)))) with ((2 ^ exponent M) ^ 2) in F1.
      - unfold at_, vector_at. unfold cell in F1, F2, F3 |- *. unfold Rdiv in *. rewrite !Rmult_plus_distr_r. lra.
      - rewrite <- pow_mult. replace (2 * Z.of_nat (exponent M))%Z with (Z.of_nat (exponent M * 2)) by lia.
        rewrite <- pow_IZR. reflexivity. }
    pose proof (H m) as H1. pose proof (H o) as H2. cbv zeta in H1, H2. unfold Rdiv in *. rewrite Rmult_minus_distr_r.
    rewrite minus_IZR, !plus_IZR, !minus_IZR. lra.
  Qed.
End CubicRun.

Theorem cubic_sound (M : model) (h : hints) : (cubic M h <= correct_count M)%Z.
Proof.
  unfold correct_count. rewrite count_inputs.
  set (P := rightb M). unfold cubic. destruct (negb _) eqn:E1; [apply count_nonneg|]. cbv zeta.
  destruct (negb _) eqn:E2 in |- *; [apply count_nonneg|]. apply negb_false_iff in E1, E2.
  apply andb_true_iff in E1 as [E1 Hcut]. apply andb_true_iff in E1 as [Htidy Hfew].
  apply Z.leb_le in Hcut. apply Nat.leb_le in Hfew.
  destruct (tidy_parts M Htidy) as (_ & Hpos & Hhead & _).
  set (k := Nat.pred (positions M)) in *. assert (Hk : positions M = S k) by (unfold k; lia).
  set (v := tokens M) in *. set (T := tables_of M) in *.
  set (W := all_weights M T _ _) in *. set (e := table (rounded_written M h T) v v). set (a := table (rounded_at M h T) (S k) v).
  rewrite Hk, count_by_classes.
  apply sum_over_le. intros q Hq. apply in_seq in Hq. apply sum_over_le. intros m Hm. apply in_seq in Hm.
  set (w := fun p t => exp (exponent_at M q t p) * bpow radix2 (unit h)).
  set (gap := fun p t o => (wrote M q t p m - wrote M q t p o) / IZR (2 ^ cut M h)).
  assert (Hwpos : forall p t, 0 <= w p t).
  { intros p t. apply Rlt_le, Rmult_lt_0_compat; [apply exp_pos|apply bpow_gt_0]. }
  apply (cubic_class_sound v k q m) with (w := w) (gap := gap); [assumption|assumption|lia|lia| | | |].
  - intros p t Hp Ht. rewrite forallb_forall in E2. specialize (E2 q ltac:(apply in_seq; lia)).
    rewrite forallb_forall in E2. specialize (E2 p ltac:(apply in_seq; lia)).
    rewrite forallb_forall in E2. specialize (E2 t ltac:(apply in_seq; lia)). apply Z.leb_le in E2.
    exact (weights_enclose M T (F.PtoP (precision h)) (unit h) Hhead q p t ltac:(fold v; lia) ltac:(lia) ltac:(fold v; lia) E2).
  - intros p t o Hp Ht Ho. unfold gap, e, a. rewrite !look_table by lia.
    unfold table. rewrite nth_map_seq by lia. rewrite !(nth_map_seq (rounded_direct M h T q)) by lia.
    apply (gap_apart M h q t p m o Hcut).
  - intros p t o Hp Ht Ho. rewrite (nth_map_seq (fun m => token_leads v k m (look e) (look a))) by lia.
    apply token_leads_le; assumption.
  - intros x L1 L2 L3 L4 Hx. unfold P, rightb. rewrite L3. fold v. apply forallb_forall. intros o Ho. apply in_seq in Ho.
    destruct (Nat.eqb_spec o m) as [|Hne]; [reflexivity|]. cbn [orb].
    destruct (Rlt_dec _ _) as [|Hn]; [reflexivity|]. exfalso. apply Hn.
    pose proof (sign_exact M x Htidy) as Hsign. unfold last in Hsign. fold k in Hsign. rewrite L2 in Hsign. fold v in Hsign.
    apply Hsign; [lia..|]. specialize (Hx o ltac:(apply in_rivals; lia)).
    set (kappa := bpow radix2 (unit h) / IZR (2 ^ shift k m (nth q W [])) / IZR (2 ^ cut M h)).
    assert (Hkappa : 0 < kappa).
    { unfold kappa. apply Rdiv_lt_0_compat; [apply Rdiv_lt_0_compat; [apply bpow_gt_0|]|apply pow2_positive; assumption].
      apply pow2_positive; unfold shift; lia. }
    apply (Rmult_lt_reg_l kappa); [assumption|]. rewrite Rmult_0_r, <- total_scale.
    rewrite along_total, L1, <- Hk in Hx. eapply Rlt_le_trans; [exact Hx|]. apply Req_le, total_ext. intros p _.
    unfold cubic_f, w, gap, part, kappa, Rdiv. simpl. ring.
Qed.

Theorem cubic_checked (M : model) (h : hints) (number : Z) : (number <=? cubic M h)%Z = true -> (number <= correct_count M)%Z.
Proof. intros H. apply Z.leb_le in H. pose proof (cubic_sound M h). lia. Qed.
