(** The program in OCaml.  Beside what ExtrOcamlBasic says (Booleans, lists, pairs, options are OCaml's) only machine
    integers are replaced: by Coq's own implementation of them, the module Uint63 of its kernel. *)
From Coq Require Import Extraction ExtrOcamlBasic ExtrOCamlInt63.
From CompactProofs Require Import Statement Boxes Checker Program.

(** Real numbers occur in the signatures of CoqInterval's modules, so they are extracted too; nothing computes with
    them.  If something did, it would end here, in an exception. *)
Extract Constant ClassicalDedekindReals.sig_forall_dec => "(fun _ -> failwith ""a real number was computed with"")".

Set Warnings "-extraction-opaque-accessed".
Extraction "extracted.ml" answer inputs_of.
