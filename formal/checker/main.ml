(* formal-checker CERTIFICATE MODEL HINTS: exit code 0: accepted, 1: rejected, 2: an input is not as it should be. *)
open Extracted

let check certificate model hints =
  let certificate = Inputs.certificate (Inputs.read certificate) in
  let model = Inputs.model (Inputs.read model) in
  let hash = Integers.model_hash model in
  let inputs = Integers.of_integer (inputs_of model) in
  let misfit what = Printf.printf "rejected: %s\n" what; 1 in
  if hash <> certificate.sha256 then misfit (Printf.sprintf "the certificate is not about this model, which is %s" hash)
  else if (certificate.d_vocab, certificate.n_ctx) <> (Integers.of_natural model.tokens, Integers.of_natural model.positions)
      || certificate.total <> inputs then misfit (Printf.sprintf "the model has %d inputs, of other sizes than the certificate says" inputs)
  else
    match answer model (Inputs.hints (Inputs.read hints)) certificate.argument certificate.claim with
    | Accepted ->
      let statement = match certificate.claim with
        | At_least _ -> Printf.sprintf "%d <= correct_count" certificate.number
        | At_most _ -> Printf.sprintf "correct_count <= %d" certificate.number in
      Printf.printf "accepted: %s (of %d inputs)\nmodel %s\n" statement inputs hash; 0
    | Rejected (low, high) ->
      misfit (Printf.sprintf "shown is only %d <= correct_count <= %d" (Integers.of_integer low) (Integers.of_integer high))
    | Misshapen -> misfit "the matrices of the model do not go together"

let () =
  exit
    (match Array.to_list Sys.argv with
     | [ _; certificate; model; hints ] ->
       (try check certificate model hints with
        | Json.Malformed reason -> Printf.eprintf "error: %s\n" reason; 2
        | Integers.Too_large -> prerr_endline "error: a number is too large, or too small"; 2
        | Stack_overflow | Out_of_memory | Failure _ | Invalid_argument _ -> prerr_endline "error: an input is too large, or not as it should be"; 2)
     | _ -> prerr_endline "usage: formal-checker CERTIFICATE MODEL HINTS"; 2)
