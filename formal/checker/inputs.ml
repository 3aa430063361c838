(* The three files: a certificate, a model in safetensors, and hints. *)
open Extracted

let fail = Json.fail

let read path =
  let channel = try open_in_bin path with Sys_error reason -> fail reason in
  let text = try really_input_string channel (in_channel_length channel) with _ -> fail (path ^ " cannot be read") in
  close_in channel;
  text

(* ** Certificates: what is claimed about which model.  What else is in them is not looked at. *)
let argument_for strategy =
  match String.split_on_char '/' strategy with
  | "cubic" :: _ -> By_cubic
  | "failing-sets" :: _ -> By_failing_sets
  | _ -> By_boxes

type certificate = { sha256 : string; claim : claim; number : int; total : int; n_ctx : int; d_vocab : int; argument : argument }

let certificate text =
  let json = Json.parse text in
  if Json.text "format" json <> "compactproofs certificate" then fail "format: expected \"compactproofs certificate\"";
  let task = Json.field "task" json in
  (match Json.integer "version" json, Json.text "name" task with
   | 1, "max" -> ()
   | 2, "max-of-k" when Json.text "family" json = "attention-only-1l1h" -> ()
   | _ -> fail "expected a certificate of version 1 or 2 about max-of-k and attention-only-1l1h");
  let natural name =
    let text = Json.text name json in
    match int_of_string_opt text with
    | Some n when n >= 0 && string_of_int n = text -> n
    | _ -> fail (name ^ ": expected a decimal integer of at most 62 bits in a string") in
  let number = natural "certified" in
  let claim =
    match Json.text "claim" json with
    | "at least" -> At_least (Integers.integer number)
    | "at most" -> At_most (Integers.integer number)
    | _ -> fail "claim: expected \"at least\" or \"at most\"" in
  { sha256 = Json.text "model_sha256" json; claim; number; total = natural "total"; n_ctx = Json.integer "n_ctx" task;
    d_vocab = Json.integer "d_vocab" task; argument = argument_for (Json.text "strategy" json) }

(* ** Models.  Nothing here is trusted: the hash is computed from the result. *)

(* A float is an odd integer, or 0, times a power of two. *)
let parts x =
  if classify_float x = FP_nan || classify_float x = FP_infinite then fail "a weight is no number";
  let mantissa, exponent = frexp x in
  let rec odd m e = if m = 0 then (0, 0) else if m land 1 = 0 then odd (m asr 1) (e + 1) else (m, e) in
  odd (int_of_float (ldexp mantissa 53)) (exponent - 53)

let tensor data header name =
  let entry = Json.field name header in
  let sizes = function Json.List l -> List.map (function Json.Integer n when n >= 0 && n < 1 lsl 24 -> n | _ -> fail "a bad size") l
    | _ -> fail (name ^ ": expected lists of integers") in
  let bytes, get =
    match Json.text "dtype" entry with
    | "F32" -> (4, fun i -> Int32.float_of_bits (String.get_int32_le data i))
    | "F64" -> (8, fun i -> Int64.float_of_bits (String.get_int64_le data i))
    | _ -> fail (name ^ ": expected F32 or F64") in
  let rows, columns = match sizes (Json.field "shape" entry) with
    | [ r; c ] | [ 1; r; c ] when r > 0 && c > 0 -> (r, c)
    | _ -> fail (name ^ ": expected a matrix, of one head") in
  match sizes (Json.field "data_offsets" entry) with
  | [ first; last ] when last - first = rows * columns * bytes && last <= String.length data ->
    List.init rows (fun i -> List.init columns (fun j -> parts (get (first + (((i * columns) + j) * bytes)))))
  | _ -> fail (name ^ ": its bytes are not as many as its shape says")

let model text =
  let length = if String.length text < 9 then 0 else Int64.to_int (String.get_int64_le text 0) in
  if length <= 0 || length > String.length text - 8 then fail "the model is not a safetensors file";
  let header = Json.parse (String.sub text 8 length) in
  let data = String.sub text (8 + length) (String.length text - 8 - length) in
  let head name = "blocks.0.attn." ^ name in
  let names = [ "embed.W_E"; "pos_embed.W_pos"; head "W_Q"; head "W_K"; head "W_V"; head "W_O"; "unembed.W_U" ] in
  let is_zero = String.for_all (fun c -> c = '\000') in
  (match header with
   | Json.Object fields ->
     List.iter (fun (name, entry) ->
       match name, Json.field "data_offsets" entry with
       | ("blocks.0.attn.mask" | "blocks.0.attn.IGNORE"), _ -> ()
       | _, Json.List [ Json.Integer first; Json.Integer last ] when List.mem name names
           || (0 <= first && first <= last && last <= String.length data && is_zero (String.sub data first (last - first))) -> ()
       | _ -> fail (name ^ " is not zero; the statement in Coq is about models without biases or other weights"))
       (List.remove_assoc "__metadata__" fields)
   | _ -> fail "the model is not a safetensors file");
  let matrices = List.map (tensor data header) names in
  let least = List.fold_left (List.fold_left (List.fold_left (fun e (_, x) -> min e x))) 0 matrices in
  if least < -200 then fail "weights are multiples of less than 2^-200";
  if List.exists (List.exists (List.exists (fun (_, x) -> x > 500))) matrices then fail "weights are too large";
  match List.map (List.map (List.map (fun (m, e) -> Integers.shifted m (e - least)))) matrices with
  | [ w_E; w_pos; w_Q; w_K; w_V; w_O; w_U ] ->
    let count l = Integers.natural (List.length l) in
    { tokens = count w_E; positions = count w_pos; width = count (List.hd w_E); head_width = count (List.hd w_Q);
      exponent = Integers.natural (-least); w_E; w_pos; w_Q; w_K; w_V; w_O; w_U }
  | _ -> assert false

(* ** Hints, in words and numbers between spaces:

   fraction, unit and precision, how many tokens there are, and for each last token how many classes follow, by the
   largest token, from the last one on: how many outputs, these, how many trees, and these, where L is a leaf, and C,
   position, number and two trees are a split. *)
let hints text =
  let words = ref (List.filter (( <> ) "") (String.split_on_char ' ' (String.concat " " (String.split_on_char '\n' text)))) in
  let word () = match !words with [] -> fail "the hints end too early" | w :: rest -> words := rest; w in
  let number () = match int_of_string_opt (word ()) with Some n -> n | None -> fail "expected a number in the hints" in
  let natural () = let n = number () in if n < 0 || n > 1 lsl 20 then fail "a bad number in the hints" else n in
  let several item = let count = natural () in List.init count (fun _ -> item ()) in
  let rec tree () =
    match word () with
    | "L" -> Leaf
    | "C" ->
      let position = natural () in
      let tokens = natural () in
      let first = tree () in
      Split (Uint63.of_int position, Uint63.of_int tokens, first, tree ())
    | _ -> fail "expected L or C in the hints" in
  let fraction = Integers.integer (number ()) in
  let unit0 = Integers.integer (number ()) in
  let precision0 = Integers.positive (max 1 (natural ())) in
  let of_classes = several (fun () -> several (fun () ->
    let outputs = several (fun () -> Integers.natural (natural ())) in
    (outputs, several tree))) in
  if !words <> [] then fail "something follows the hints";
  { fraction; unit0; precision0; of_classes }
