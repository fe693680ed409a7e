;; Calls itself without end. It keeps nothing in linear memory, so that it meets the cap on the stack of the
;; host and not the end of its own.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    ;; @include answer.part
    (func $down (param $depth i64) (result i64)
      (i64.add (call $down (i64.add (local.get $depth) (i64.const 1))) (local.get $depth)))
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (call $answer (call $down (i64.const 0))))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
