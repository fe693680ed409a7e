;; Not hostile: draws a number in `load` and keeps it, so that the memory which is captured then follows from the seed of
;; `load`; answers the number. What it is made of is fixed to the byte: a test knows the digest of its snapshot.
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (core func $draw (canon lower (func $random "get-random-u64")))
  (core module $m
    (import "host" "draw" (func $draw (result i64)))
    (memory (export "memory") 2)
    ;; @include base.part
    ;; @include answer.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (call $answer (i64.load (i32.const 256))))
    ;; A result without an error, of zeros.
    (func (export "load") (result i32)
      (i64.store (i32.const 256) (call $draw))
      (i32.const 512))
  )
  (core instance $main (instantiate $m
    (with "host" (instance (export "draw" (func $draw))))))
  ;; @include tensors.part
  (alias core export $main "load" (core func $core-load))
  (func $load (result (result (error $error)))
    (canon lift (core func $core-load) (memory $memory)))
  (component $load-names
    (type $error' (variant (case "invalid-input" string) (case "unsupported" string) (case "failed" string)))
    (import "error" (type $error (eq $error')))
    (import "load" (func $load (result (result (error $error)))))
    (export $error-out "error" (type $error))
    (export "load" (func $load) (func (result (result (error $error-out))))))
  (instance $lifecycle (instantiate $load-names
    (with "error" (type $error))
    (with "load" (func $load))))
  (export "belljar:model/lifecycle@0.1.0" (instance $lifecycle))
)
