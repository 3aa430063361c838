(* Coq's integers, which are written in binary from the least bit on, and OCaml's. *)
open Extracted

exception Too_large

let rec positive n = if n = 1 then XH else if n land 1 = 1 then XI (positive (n lsr 1)) else XO (positive (n lsr 1))
let integer n = if n = 0 then Z0 else if n > 0 then Zpos (positive n) else Zneg (positive (-n))
let rec natural n = if n = 0 then O else S (natural (n - 1))
let rec of_natural = function O -> 0 | S n -> 1 + of_natural n

let rec of_positive limit p =
  if limit = 0 then raise Too_large else
  match p with XH -> 1 | XO p -> 2 * of_positive (limit - 1) p | XI p -> (2 * of_positive (limit - 1) p) + 1
let of_integer = function Z0 -> 0 | Zpos p -> of_positive 62 p | Zneg p -> -of_positive 62 p

(* n times 2^shift *)
let shifted n shift =
  let rec up p k = if k = 0 then p else up (XO p) (k - 1) in
  match integer n with Z0 -> Z0 | Zpos p -> Zpos (up p shift) | Zneg p -> Zneg (up p shift)

(* The float64 number that is z times 2^-exponent; Too_large if there is none, or it is smaller than most. *)
let as_float z exponent =
  let of_positive_ p =
    let rec odd zeros = function XO p -> odd (zeros + 1) p | p -> (of_positive 53 p, zeros) in
    let mantissa, zeros = odd 0 p in
    let result = ldexp (float_of_int mantissa) (zeros - exponent) in
    if classify_float result <> FP_normal then raise Too_large;
    result in
  match z with Z0 -> 0.0 | Zpos p -> of_positive_ p | Zneg p -> -.of_positive_ p

(* What a certificate names a network by: computed from the very integers that the program from Coq is given. *)
let model_hash m =
  let text = Buffer.create 100000 in
  let add name rows =
    Buffer.add_string text (Printf.sprintf "%s %d %d\n" name (List.length rows) (List.length (List.hd rows)));
    List.iter (List.iter (fun z ->
      let bits = Bytes.create 8 in
      Bytes.set_int64_le bits 0 (Int64.bits_of_float (as_float z (of_natural m.exponent)));
      Buffer.add_bytes text bits)) rows in
  List.iter (fun (name, rows) -> add name rows)
    [ ("W_E", m.w_E); ("W_pos", m.w_pos); ("W_Q", m.w_Q); ("W_K", m.w_K); ("W_V", m.w_V); ("W_O", m.w_O); ("W_U", m.w_U) ];
  Sha256.hexadecimal (Buffer.contents text)
