;; Has ten linear memories in one component: each core module beside the model's own has one.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (i32.const 64))
  )
  (core instance $main (instantiate $m))
  (core module $spare (memory (export "memory") 1))
  (core instance (instantiate $spare))
  (core instance (instantiate $spare))
  (core instance (instantiate $spare))
  (core instance (instantiate $spare))
  (core instance (instantiate $spare))
  (core instance (instantiate $spare))
  (core instance (instantiate $spare))
  (core instance (instantiate $spare))
  (core instance (instantiate $spare))
  ;; @include tensors.part
)
