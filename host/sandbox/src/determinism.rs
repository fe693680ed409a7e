//! What a component can give otherwise on another machine: found from its instructions, without
//! running it.
//!
//! WebAssembly leaves two things open. Relaxed vector instructions may do what the machine does
//! fastest. And where arithmetic gives a NaN, its bits are the machine's. Both can be made the same
//! everywhere, at a price in speed ([`Codegen`]); a component whose instructions leave nothing
//! open gives the same bits wherever it runs. Imports leave nothing open: time and chance are those
//! of the request.

use crate::config::Codegen;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use wasmparser::{BinaryReaderError, Operator, Parser, Payload};

/// On which machines a run gives the same bits as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeterminismClass {
    /// On every machine.
    Strict,
    /// On every machine with the same kind of processor.
    SameCpu,
}

impl DeterminismClass {
    /// The name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::SameCpu => "same-cpu",
        }
    }
}

impl fmt::Display for DeterminismClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What WebAssembly leaves open in the result of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freedom {
    /// A relaxed vector instruction: one of several results.
    RelaxedSimd,
    /// Arithmetic on floating point numbers: the bits of a NaN.
    NanBits,
}

impl Freedom {
    /// The name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RelaxedSimd => "relaxed-simd",
            Self::NanBits => "nan-bits",
        }
    }

    /// What takes it away.
    #[must_use]
    pub const fn setting(self) -> &'static str {
        match self {
            Self::RelaxedSimd => "sandbox.deterministic_simd",
            Self::NanBits => "sandbox.canonical_nan",
        }
    }

    /// Whether the compiler leaves it.
    const fn is_left(self, codegen: Codegen) -> bool {
        match self {
            Self::RelaxedSimd => !codegen.deterministic_simd,
            Self::NanBits => !codegen.canonical_nan,
        }
    }
}

/// An instruction of a component whose result may be another on another machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInstruction {
    /// Its name in the text format, for example `f32x4.relaxed_madd`.
    pub instruction: String,
    /// What is left open.
    pub freedom: Freedom,
    /// In how many places of the code it stands.
    pub places: u64,
}

/// What a component leaves open: nothing in one that gives the same bits on every machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Determinism(Vec<OpenInstruction>);

impl Determinism {
    /// Reads the instructions of a component that has been validated, and of what it consists of.
    pub(crate) fn find(component: &[u8], codegen: Codegen) -> Result<Self, BinaryReaderError> {
        let mut found = BTreeMap::<(Freedom, &'static str), u64>::new();
        for payload in Parser::new(0).parse_all(component) {
            let Payload::CodeSectionEntry(body) = payload? else {
                continue;
            };
            let mut operators = body.get_operators_reader()?;
            while !operators.eof() {
                if let Some(open) = open(&operators.read()?) {
                    *found.entry(open).or_default() += 1;
                }
            }
        }
        let left = found
            .into_iter()
            .filter(|((freedom, _), _)| freedom.is_left(codegen));
        let left = left.map(|((freedom, instruction), places)| OpenInstruction {
            instruction: instruction.to_owned(),
            freedom,
            places,
        });
        Ok(Self(left.collect()))
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> DeterminismClass {
        if self.0.is_empty() {
            DeterminismClass::Strict
        } else {
            DeterminismClass::SameCpu
        }
    }

    /// What is left open, by instruction; nothing for the class `strict`.
    #[must_use]
    pub fn reasons(&self) -> &[OpenInstruction] {
        &self.0
    }
}

macro_rules! open_instructions {
    ($($freedom:ident { $($operator:ident $name:literal,)* })*) => {
        /// What is left open in the result of an instruction, and its name.
        fn open(operator: &Operator<'_>) -> Option<(Freedom, &'static str)> {
            Some(match operator {
                $($(Operator::$operator => (Freedom::$freedom, $name),)*)*
                _ => return None,
            })
        }
    };
}

open_instructions! {
RelaxedSimd {
    I8x16RelaxedSwizzle "i8x16.relaxed_swizzle",
    I32x4RelaxedTruncF32x4S "i32x4.relaxed_trunc_f32x4_s",
    I32x4RelaxedTruncF32x4U "i32x4.relaxed_trunc_f32x4_u",
    I32x4RelaxedTruncF64x2SZero "i32x4.relaxed_trunc_f64x2_s_zero",
    I32x4RelaxedTruncF64x2UZero "i32x4.relaxed_trunc_f64x2_u_zero",
    F32x4RelaxedMadd "f32x4.relaxed_madd",
    F32x4RelaxedNmadd "f32x4.relaxed_nmadd",
    F64x2RelaxedMadd "f64x2.relaxed_madd",
    F64x2RelaxedNmadd "f64x2.relaxed_nmadd",
    I8x16RelaxedLaneselect "i8x16.relaxed_laneselect",
    I16x8RelaxedLaneselect "i16x8.relaxed_laneselect",
    I32x4RelaxedLaneselect "i32x4.relaxed_laneselect",
    I64x2RelaxedLaneselect "i64x2.relaxed_laneselect",
    F32x4RelaxedMin "f32x4.relaxed_min",
    F32x4RelaxedMax "f32x4.relaxed_max",
    F64x2RelaxedMin "f64x2.relaxed_min",
    F64x2RelaxedMax "f64x2.relaxed_max",
    I16x8RelaxedQ15mulrS "i16x8.relaxed_q15mulr_s",
    I16x8RelaxedDotI8x16I7x16S "i16x8.relaxed_dot_i8x16_i7x16_s",
    I32x4RelaxedDotI8x16I7x16AddS "i32x4.relaxed_dot_i8x16_i7x16_add_s",
}
NanBits {
    F32Add "f32.add",
    F32Sub "f32.sub",
    F32Mul "f32.mul",
    F32Div "f32.div",
    F32Sqrt "f32.sqrt",
    F32Min "f32.min",
    F32Max "f32.max",
    F32Ceil "f32.ceil",
    F32Floor "f32.floor",
    F32Trunc "f32.trunc",
    F32Nearest "f32.nearest",
    F64Add "f64.add",
    F64Sub "f64.sub",
    F64Mul "f64.mul",
    F64Div "f64.div",
    F64Sqrt "f64.sqrt",
    F64Min "f64.min",
    F64Max "f64.max",
    F64Ceil "f64.ceil",
    F64Floor "f64.floor",
    F64Trunc "f64.trunc",
    F64Nearest "f64.nearest",
    F32x4Add "f32x4.add",
    F32x4Sub "f32x4.sub",
    F32x4Mul "f32x4.mul",
    F32x4Div "f32x4.div",
    F32x4Sqrt "f32x4.sqrt",
    F32x4Min "f32x4.min",
    F32x4Max "f32x4.max",
    F32x4Ceil "f32x4.ceil",
    F32x4Floor "f32x4.floor",
    F32x4Trunc "f32x4.trunc",
    F32x4Nearest "f32x4.nearest",
    F64x2Add "f64x2.add",
    F64x2Sub "f64x2.sub",
    F64x2Mul "f64x2.mul",
    F64x2Div "f64x2.div",
    F64x2Sqrt "f64x2.sqrt",
    F64x2Min "f64x2.min",
    F64x2Max "f64x2.max",
    F64x2Ceil "f64x2.ceil",
    F64x2Floor "f64x2.floor",
    F64x2Trunc "f64x2.trunc",
    F64x2Nearest "f64x2.nearest",
    F32DemoteF64 "f32.demote_f64",
    F64PromoteF32 "f64.promote_f32",
    F32x4DemoteF64x2Zero "f32x4.demote_f64x2_zero",
    F64x2PromoteLowF32x4 "f64x2.promote_low_f32x4",
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::WasmFeatures;

    const FAST: Codegen = Codegen {
        deterministic_simd: false,
        canonical_nan: false,
        source_lines: false,
    };

    fn found(code: &str, codegen: Codegen) -> Determinism {
        let text = format!(
            "(component (component (core module (func (export \"f\") (local v128 f32 f64) {code}))))"
        );
        let component = wat::parse_str(text).unwrap();
        Determinism::find(&component, codegen).unwrap()
    }

    #[test]
    fn whole_numbers_and_signs_leave_nothing_open() {
        let code = "(drop (i64.mul (i64.const 2) (i64.const 3)))
            (drop (f32.neg (f32.copysign (local.get 1) (f32.abs (local.get 1)))))
            (drop (f32x4.pmin (local.get 0) (f32x4.convert_i32x4_s (local.get 0))))
            (drop (i32.reinterpret_f32 (local.get 1)))";
        let none = found(code, FAST);
        assert_eq!(
            (none.class(), none.reasons()),
            (DeterminismClass::Strict, &[][..])
        );
    }

    #[test]
    fn what_is_left_open_is_told_by_instruction_and_goes_by_setting() {
        let code = "(drop (f32.add (local.get 1) (f32.add (local.get 1) (local.get 1))))
            (drop (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0)))";
        let [relaxed, nan] = [
            ("f32x4.relaxed_madd", Freedom::RelaxedSimd, 1),
            ("f32.add", Freedom::NanBits, 2),
        ];
        for (deterministic_simd, canonical_nan, left) in [
            (false, false, vec![relaxed, nan]),
            (true, false, vec![nan]),
            (false, true, vec![relaxed]),
            (true, true, vec![]),
        ] {
            let codegen = Codegen {
                deterministic_simd,
                canonical_nan,
                source_lines: false,
            };
            let found = found(code, codegen);
            let reasons = found.reasons().iter();
            let reasons: Vec<_> = reasons
                .map(|it| (it.instruction.as_str(), it.freedom, it.places))
                .collect();
            assert_eq!(reasons, left);
            let is_strict = found.class() == DeterminismClass::Strict;
            assert_eq!(is_strict, left.is_empty());
        }
    }

    /// The instructions of a feature are all in the table.
    #[test]
    fn every_relaxed_instruction_is_known() {
        macro_rules! relaxed {
            ($(@$proposal:ident $operator:ident $({ $($argument:ident: $type:ty),* })? => $visit:ident ($($annotation:tt)*))*) => {
                [$((stringify!($proposal), stringify!($operator)),)*]
            };
        }
        let all = wasmparser::for_each_visit_simd_operator!(relaxed);
        let table = include_str!("determinism.rs");
        let mut count = 0;
        for (proposal, operator) in all {
            if proposal == "relaxed_simd" {
                assert!(table.contains(&format!("    {operator} \"")), "{operator}");
                count += 1;
            }
        }
        assert_eq!(count, 20);
        assert!(crate::engine::FEATURES.contains(WasmFeatures::RELAXED_SIMD));
    }
}
