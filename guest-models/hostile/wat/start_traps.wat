;; Traps in its start function.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (i32.const 64))
    (func $start (unreachable))
    (start $start)
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
