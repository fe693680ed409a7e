;; Says that its memory is of one size and never larger, and has a `load`: what takes the snapshot
;; finds no room beside it.
(component
  (core module $m
    (memory (export "memory") 2 2)
    ;; @include base.part
    ;; @include answer.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (call $answer (i64.const 1)))
    ;; A result without an error, of zeros.
    (func (export "load") (result i32) (i32.const 512))
  )
  (core instance $main (instantiate $m))
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
