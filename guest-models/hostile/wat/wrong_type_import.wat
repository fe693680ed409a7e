;; Imports `log`, which is granted, with another type than it has.
(component
  (import "belljar:model/log@0.1.0" (instance (export "write" (func (param "message" string)))))
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (i32.const 64))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
