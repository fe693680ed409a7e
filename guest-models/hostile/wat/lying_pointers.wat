;; Answers with a list of tensors that lies outside of its memory.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 68) (i32.const 0x7ffffff0))
      (i32.store (i32.const 72) (i32.const 0x10000000))
      (i32.const 64))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
