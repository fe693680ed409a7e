;; Has a table of fifty million elements from the beginning.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (table 50000000 funcref)
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (i32.const 64))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
