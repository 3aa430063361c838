(* SHA-256 of a string, in hexadecimal (FIPS 180-4).  Words of 32 bits are integers below 2^32. *)

let mask = 0xffffffff

(* The first 32 bits of the fractional parts of the cube roots of the first primes, and of their square roots *)
let constants =
  [|
     0x428a2f98; 0x71374491; 0xb5c0fbcf; 0xe9b5dba5; 0x3956c25b; 0x59f111f1; 0x923f82a4; 0xab1c5ed5;
     0xd807aa98; 0x12835b01; 0x243185be; 0x550c7dc3; 0x72be5d74; 0x80deb1fe; 0x9bdc06a7; 0xc19bf174;
     0xe49b69c1; 0xefbe4786; 0x0fc19dc6; 0x240ca1cc; 0x2de92c6f; 0x4a7484aa; 0x5cb0a9dc; 0x76f988da;
     0x983e5152; 0xa831c66d; 0xb00327c8; 0xbf597fc7; 0xc6e00bf3; 0xd5a79147; 0x06ca6351; 0x14292967;
     0x27b70a85; 0x2e1b2138; 0x4d2c6dfc; 0x53380d13; 0x650a7354; 0x766a0abb; 0x81c2c92e; 0x92722c85;
     0xa2bfe8a1; 0xa81a664b; 0xc24b8b70; 0xc76c51a3; 0xd192e819; 0xd6990624; 0xf40e3585; 0x106aa070;
     0x19a4c116; 0x1e376c08; 0x2748774c; 0x34b0bcb5; 0x391c0cb3; 0x4ed8aa4a; 0x5b9cca4f; 0x682e6ff3;
     0x748f82ee; 0x78a5636f; 0x84c87814; 0x8cc70208; 0x90befffa; 0xa4506ceb; 0xbef9a3f7; 0xc67178f2;
  |]

let start =
  [|
     0x6a09e667; 0xbb67ae85; 0x3c6ef372; 0xa54ff53a; 0x510e527f; 0x9b05688c; 0x1f83d9ab; 0x5be0cd19;
  |]

let rotate n x = ((x lsr n) lor (x lsl (32 - n))) land mask

let block state message offset =
  let w = Array.make 64 0 in
  for i = 0 to 15 do
    w.(i) <- Int32.to_int (String.get_int32_be message (offset + (4 * i))) land mask
  done;
  for i = 16 to 63 do
    let small a b c x = rotate a x lxor rotate b x lxor (x lsr c) in
    w.(i) <- (w.(i - 16) + small 7 18 3 w.(i - 15) + w.(i - 7) + small 17 19 10 w.(i - 2)) land mask
  done;
  let s = Array.copy state in
  for i = 0 to 63 do
    let a = s.(0) and b = s.(1) and c = s.(2) and e = s.(4) and f = s.(5) and g = s.(6) in
    let choice = (e land f) lxor (lnot e land g land mask) and majority = (a land b) lxor (a land c) lxor (b land c) in
    let t1 = s.(7) + (rotate 6 e lxor rotate 11 e lxor rotate 25 e) + choice + constants.(i) + w.(i) in
    let t2 = (rotate 2 a lxor rotate 13 a lxor rotate 22 a) + majority in
    Array.blit s 0 s 1 7;
    s.(4) <- (s.(4) + t1) land mask;
    s.(0) <- (t1 + t2) land mask
  done;
  Array.map2 (fun x y -> (x + y) land mask) state s

let hexadecimal text =
  let length = String.length text in
  let zeros = (119 - (length mod 64)) mod 64 in
  let bits = Bytes.create 8 in
  Bytes.set_int64_be bits 0 (Int64.of_int (8 * length));
  let message = text ^ "\x80" ^ String.make zeros '\000' ^ Bytes.to_string bits in
  let state = ref start in
  for i = 0 to (String.length message / 64) - 1 do
    state := block !state message (64 * i)
  done;
  String.concat "" (Array.to_list (Array.map (Printf.sprintf "%08x") !state))
