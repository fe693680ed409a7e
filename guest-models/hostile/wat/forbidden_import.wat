;; Imports a function of an interface that nobody has.
(component
  (import "evil:host/backdoor@1.0.0" (instance (export "open" (func))))
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (i32.const 64))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
