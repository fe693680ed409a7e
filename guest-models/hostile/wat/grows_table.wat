;; Grows its table by 1 000 elements at a time until that is refused, and answers with how many it
;; got.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (table $table 0 funcref)
    ;; @include answer.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (loop $more
        (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
      (call $answer (i64.extend_i32_u (table.size $table))))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
