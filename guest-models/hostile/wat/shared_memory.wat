;; Has a shared memory: the threads proposal.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (memory 1 1 shared)
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (i32.const 64))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
