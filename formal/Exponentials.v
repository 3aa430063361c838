(** Integer bounds of the exponentials of all scores, by the verified interval arithmetic of CoqInterval. *)
From Coq Require Import Reals ZArith List Arith Bool Lia Lra.
From Bignums Require Import BigZ.
From Flocq Require Import Core.
From Interval Require Import Real.Xreal Float.Basic Float.Sig Float.Specific_bigint Float.Specific_ops Interval.Interval
  Interval.Float Interval.Float_full.
From CompactProofs Require Import Statement Softmax Tables.
Import ListNotations.
Open Scope R_scope.

Module F := SpecificFloat BigIntRadix2.
Module I := FloatIntervalFull F.

(** * From floating-point numbers to integers *)

Lemma IZR_pow2 k : (0 <= k)%Z -> IZR (2 ^ k) = bpow radix2 k.
Proof. intros H. exact (IZR_Zpower radix2 k H). Qed.

Lemma pow2_positive k : (0 <= k)%Z -> 0 < IZR (2 ^ k).
Proof. intros H. apply (IZR_lt 0), Z.pow_pos_nonneg; lia. Qed.

(** Shifting rounds down, to the left or right. *)
Lemma shift_below z k : IZR (Z.shiftl z k) <= IZR z * bpow radix2 k.
Proof.
  destruct (Z.le_gt_cases 0 k) as [H|H].
  - rewrite Z.shiftl_mul_pow2, mult_IZR, IZR_pow2 by assumption. apply Rle_refl.
  - replace k with (- (- k))%Z at 2 by lia. rewrite bpow_opp, <- IZR_pow2 by lia. rewrite <- (Z.opp_involutive k) at 1.
    rewrite Z.shiftl_opp_r, Z.shiftr_div_pow2 by lia. pose proof (pow2_positive (- k) ltac:(lia)) as Hp.
    apply (Rmult_le_reg_r (IZR (2 ^ - k))); [assumption|].
    rewrite Rmult_assoc, Rinv_l, Rmult_1_r, <- mult_IZR by lra. apply IZR_le. rewrite Z.mul_comm.
    apply Z.mul_div_le. apply Z.pow_pos_nonneg; lia.
Qed.

Definition with_sign (s : bool) (m : positive) : Z := if s then Z.neg m else Z.pos m.

(** The float times 2^unit, rounded down, or up. *)
Definition down (unit : Z) (f : F.type) : option Z :=
  match F.toF f with
  | Basic.Fnan => None
  | Fzero => Some 0%Z
  | Basic.Float s m e => Some (Z.shiftl (with_sign s m) (e + unit))
  end.
Definition up (unit : Z) (f : F.type) : option Z :=
  match F.toF f with
  | Basic.Fnan => None
  | Fzero => Some 0%Z
  | Basic.Float s m e => Some (- Z.shiftl (- with_sign s m) (e + unit))%Z
  end.

Lemma float_real s m e : FtoR radix2 s m e = IZR (with_sign s m) * bpow radix2 e.
Proof. rewrite FtoR_split. unfold F2R. destruct s; reflexivity. Qed.

Lemma down_below unit f r z : F.toX f = Xreal r -> down unit f = Some z -> IZR z <= r * bpow radix2 unit.
Proof.
  unfold F.toX, down. destruct (F.toF f) as [| |s m e]; [discriminate| |]; intros [= <-] [= <-].
  - rewrite Rmult_0_l. apply Rle_refl.
  - rewrite float_real, Rmult_assoc, <- bpow_plus. apply shift_below.
Qed.

Lemma up_above unit f r z : F.toX f = Xreal r -> up unit f = Some z -> r * bpow radix2 unit <= IZR z.
Proof.
  unfold F.toX, up. destruct (F.toF f) as [| |s m e]; [discriminate| |]; intros [= <-] [= <-].
  - rewrite Rmult_0_l. apply Rle_refl.
  - rewrite float_real, Rmult_assoc, <- bpow_plus. pose proof (shift_below (- with_sign s m) (e + unit)) as H.
    rewrite opp_IZR in *. lra.
Qed.

(** The two ends of an interval; (-1, -1) where there are none. *)
Definition ends (unit : Z) (X : I.type) : Z * Z :=
  match X with
  | Float.Ibnd a b => match down unit a, up unit b with Some a, Some b => (a, b) | _, _ => (-1, -1)%Z end
  | Float.Inan => (-1, -1)%Z
  end.

Lemma ends_enclose unit X r : contains (I.convert X) (Xreal r) -> (0 <= fst (ends unit X))%Z ->
  IZR (fst (ends unit X)) <= r * bpow radix2 unit <= IZR (snd (ends unit X)).
Proof.
  unfold ends. destruct X as [|a b]; [simpl; lia|]. intros HX.
  destruct (down unit a) as [lo|] eqn:Ea; [|simpl; lia]. destruct (up unit b) as [hi|] eqn:Eb; [|simpl; lia].
  intros _. unfold I.convert in HX. destruct (_ && _); simpl in HX; [|lra]. destruct HX as [H1 H2].
  pose proof (bpow_gt_0 radix2 unit) as Hu. simpl. split.
  - destruct (F.toX a) as [|ra] eqn:Ra.
    + unfold F.toX in Ra. unfold down in Ea. destruct (F.toF a); discriminate.
    + eapply Rle_trans; [apply (down_below _ _ _ _ Ra Ea)|]. apply Rmult_le_compat_r; lra.
  - destruct (F.toX b) as [|rb] eqn:Rb.
    + unfold F.toX in Rb. unfold up in Eb. destruct (F.toF b); discriminate.
    + eapply Rle_trans; [|apply (up_above _ _ _ _ Rb Eb)]. apply Rmult_le_compat_r; lra.
Qed.

(** * The weights: bounds of exp(score) times 2^unit *)
Section Weights.
  Variables (M : model) (T : tables) (precision : F.precision) (unit : Z).
  Hypothesis some_head : (0 < head_width M)%nat.

  Definition divisor : I.type :=
    I.mul precision (I.sqrt precision (I.fromZ precision (Z.of_nat (head_width M))))
      (I.fromZ precision (2 ^ (4 * Z.of_nat (exponent M)))).
  Definition exponential (z : Z) : I.type := I.exp precision (I.div precision (I.fromZ precision z) divisor).

  Lemma exponential_encloses z : contains (I.convert (exponential z))
    (Xreal (exp ((/ 2 ^ exponent M) ^ 4 * IZR z / sqrt (INR (head_width M))))).
  Proof.
    assert (Hs : 0 < sqrt (INR (head_width M))) by (apply sqrt_lt_R0, (lt_INR 0); assumption).
    assert (H2 : 2 ^ exponent M <> 0) by (apply pow_nonzero; lra).
    assert (E4 : IZR (2 ^ (4 * Z.of_nat (exponent M))) = (2 ^ exponent M) ^ 4).
    { replace (4 * Z.of_nat (exponent M))%Z with (Z.of_nat (exponent M * 4)) by lia. rewrite <- pow_IZR, pow_mult. reflexivity. }
    apply (I.exp_correct precision _ (Xreal _)).
    set (s := sqrt (INR (head_width M))) in *.
    replace (Xreal ((/ 2 ^ exponent M) ^ 4 * IZR z / s)) with (Xdiv (Xreal (IZR z)) (Xmul (Xreal s) (Xreal ((2 ^ exponent M) ^ 4)))).
    - apply I.div_correct; [apply I.fromZ_correct|]. unfold divisor. apply I.mul_correct.
      + unfold s. rewrite INR_IZR_INZ. apply (I.sqrt_correct precision _ (Xreal _)), I.fromZ_correct.
      + rewrite <- E4. apply I.fromZ_correct.
    - assert (Hd : s * (2 ^ exponent M) ^ 4 <> 0) by (apply Rmult_integral_contrapositive; split; [lra|apply pow_nonzero, H2]).
      simpl Xmul. unfold Xdiv, Xbind2, Xdiv'. rewrite is_zero_false by exact Hd. f_equal.
      rewrite pow_inv. field. split; [assumption|lra].
  Qed.

  (** All weights, by query, position and token; tables of exponentials by token and by position are multiplied. *)
  Definition all_exponentials (A : matrix) (count : nat) : list (list I.type) :=
    map (fun q => let row := nth q A [] in map (fun t => exponential (toZ (nth t row BigZ.zero))) (seq 0 count))
      (seq 0 (tokens M)).

  Definition products (A B : list (list I.type)) : list (list (list (Z * Z))) :=
    map (fun rows => map (fun at_position => map (fun of_token => ends unit (I.mul precision of_token at_position)) (fst rows))
      (snd rows)) (combine A B).
  Definition all_weights : list (list (list (Z * Z))) :=
    products (all_exponentials (score_token T) (tokens M)) (all_exponentials (score_position T) (positions M)).

  Definition weight_of (W : list (list (list (Z * Z)))) (q p t : nat) : Z * Z := nth t (nth p (nth q W []) []) (-1, -1)%Z.

  Lemma nth_exponential A count q t : (q < tokens M)%nat -> (t < count)%nat ->
    nth t (nth q (all_exponentials A count) []) (I.fromZ precision 0) = exponential (toZ (nth t (nth q A []) BigZ.zero)).
  Proof.
    intros Hq Ht. unfold all_exponentials. rewrite nth_map_seq by assumption.
    exact (nth_map_seq (fun t => exponential (toZ (nth t (nth q A []) BigZ.zero))) count t _ Ht).
  Qed.

  Lemma length_exponential A count q : (q < tokens M)%nat -> length (nth q (all_exponentials A count) []) = count.
  Proof.
    intros Hq. unfold all_exponentials. rewrite nth_map_seq by assumption. cbv zeta. rewrite map_length. apply seq_length.
  Qed.

  Lemma weights_enclose q p t : (q < tokens M)%nat -> (p < positions M)%nat -> (t < tokens M)%nat ->
    let w := weight_of all_weights q p t in
    let e := exp ((/ 2 ^ exponent M) ^ 4 * (at_ (score_token T) q t + at_ (score_position T) q p) / sqrt (INR (head_width M))) in
    (0 <= fst w)%Z -> IZR (fst w) <= e * bpow radix2 unit <= IZR (snd w).
  Proof.
    intros Hq Hp Ht. cbv zeta. unfold weight_of, all_weights, products.
    set (A := all_exponentials (score_token T) _). set (B := all_exponentials (score_position T) _).
    assert (HA : length A = tokens M) by (unfold A, all_exponentials; rewrite map_length; apply seq_length).
    assert (HB : length B = tokens M) by (unfold B, all_exponentials; rewrite map_length; apply seq_length).
    rewrite (nth_map_in _ _ q ([], []) []) by (rewrite combine_length, HA, HB; lia).
    rewrite combine_nth by exact (eq_trans HA (eq_sym HB)). cbn [fst snd].
    assert (LA : length (nth q A []) = tokens M) by (apply length_exponential, Hq).
    assert (LB : length (nth q B []) = positions M) by (apply length_exponential, Hq).
    rewrite (nth_map_in _ _ p (I.fromZ precision 0) []) by exact (eq_ind_r (fun k => (p < k)%nat) Hp LB).
    rewrite (nth_map_in _ _ t (I.fromZ precision 0) _) by exact (eq_ind_r (fun k => (t < k)%nat) Ht LA).
    apply ends_enclose. unfold A, B. rewrite !nth_exponential by assumption.
    set (a := toZ (nth t (nth q (score_token T) []) BigZ.zero)). set (b := toZ (nth p (nth q (score_position T) []) BigZ.zero)).
    replace (Xreal _) with (Xmul (Xreal (exp ((/ 2 ^ exponent M) ^ 4 * IZR a / sqrt (INR (head_width M)))))
      (Xreal (exp ((/ 2 ^ exponent M) ^ 4 * IZR b / sqrt (INR (head_width M)))))).
    - apply I.mul_correct; apply exponential_encloses.
    - simpl. f_equal. rewrite <- exp_plus. f_equal. unfold at_, vector_at. fold a b. unfold Rdiv. ring.
  Qed.
End Weights.
