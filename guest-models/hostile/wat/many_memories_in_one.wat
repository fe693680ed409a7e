;; Has ten linear memories in one core module.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (memory 1)
    (memory 1)
    (memory 1)
    (memory 1)
    (memory 1)
    (memory 1)
    (memory 1)
    (memory 1)
    (memory 1)
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (i32.const 64))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
