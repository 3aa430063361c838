(* JSON with integers as its only numbers, and no key twice in an object. *)
exception Malformed of string

type t = Null | Bool of bool | Integer of int | Text of string | List of t list | Object of (string * t) list

let fail words = raise (Malformed words)

let parse text =
  let position = ref 0 in
  let peek () = if !position < String.length text then text.[!position] else fail "the JSON text ends too early" in
  let next () = let c = peek () in incr position; c in
  let rec skip () =
    if !position < String.length text && String.contains " \t\n\r" text.[!position] then (incr position; skip ()) in
  let expect word = String.iter (fun c -> if next () <> c then fail ("expected " ^ word ^ " in JSON")) word in
  let hexadecimal () =
    let digits = String.init 4 (fun _ -> next ()) in
    if String.exists (fun c -> not (String.contains "0123456789abcdefABCDEF" c)) digits then fail "a bad escape in JSON";
    int_of_string ("0x" ^ digits) in
  let text_ () =
    let result = Buffer.create 16 in
    let rec go () =
      match next () with
      | '"' -> Buffer.contents result
      | '\\' ->
        (match next () with
         | ('"' | '\\' | '/') as c -> Buffer.add_char result c
         | 'b' -> Buffer.add_char result '\b'
         | 'f' -> Buffer.add_char result '\012'
         | 'n' -> Buffer.add_char result '\n'
         | 'r' -> Buffer.add_char result '\r'
         | 't' -> Buffer.add_char result '\t'
         | 'u' ->
           let code = hexadecimal () in
           if not (Uchar.is_valid code) then fail "a character in two halves in JSON";
           Buffer.add_utf_8_uchar result (Uchar.of_int code)
         | _ -> fail "a bad escape in JSON");
        go ()
      | c when c < ' ' -> fail "a control character in JSON text"
      | c -> Buffer.add_char result c; go () in
    go () in
  let integer () =
    let start = !position in
    if peek () = '-' then incr position;
    while !position < String.length text && text.[!position] >= '0' && text.[!position] <= '9' do incr position done;
    let literal = String.sub text start (!position - start) in
    match int_of_string_opt literal with
    | Some n when string_of_int n = literal -> n
    | _ -> fail ("expected an integer of at most 62 bits in JSON, found " ^ String.sub literal 0 (min 40 (String.length literal))) in
  let rec value depth =
    if depth > 64 then fail "JSON is nested too deeply";
    skip ();
    let result =
      match peek () with
      | '{' -> incr position; Object (members depth '}' (fun () ->
          skip (); expect "\""; let key = text_ () in skip (); expect ":"; (key, value (depth + 1))))
      | '[' -> incr position; List (members depth ']' (fun () -> value (depth + 1)))
      | '"' -> incr position; Text (text_ ())
      | 't' -> expect "true"; Bool true
      | 'f' -> expect "false"; Bool false
      | 'n' -> expect "null"; Null
      | _ -> Integer (integer ()) in
    (match result with
     | Object fields ->
       let keys = List.map fst fields in
       if List.length (List.sort_uniq compare keys) <> List.length keys then fail "a key appears twice in JSON"
     | _ -> ());
    skip ();
    result
  and members : 'a. int -> char -> (unit -> 'a) -> 'a list = fun _ closing item ->
    skip ();
    if peek () = closing then (incr position; [])
    else
      let rec go found =
        let found = item () :: found in
        skip ();
        match next () with
        | ',' -> go found
        | c when c = closing -> List.rev found
        | _ -> fail "expected , or the end of a list or object in JSON" in
      go [] in
  let result = value 0 in
  if !position <> String.length text then fail "something follows the JSON text";
  result

let field name = function
  | Object fields -> (match List.assoc_opt name fields with Some value -> value | None -> fail (name ^ " is missing"))
  | _ -> fail ("expected an object with " ^ name)
let text name json = match field name json with Text text -> text | _ -> fail (name ^ ": expected text")
let integer name json = match field name json with Integer n -> n | _ -> fail (name ^ ": expected an integer")
