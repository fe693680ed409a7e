//! Not hostile: keeps the byte in the parameter `write` for each block of two of the INT64 `tokens`
//! that is not there, and answers with the bytes of those that were: `found`.

use belljar_guest::tensors::{Request, Response, Tensor, TensorView};
use belljar_guest::{Error, Lifecycle, Tensors, Value, state};

struct Guest;

const BLOCK: u32 = 2;

impl Lifecycle for Guest {
    fn load() -> Result<(), Error> {
        // Nobody's: there is no key in `load`.
        state::find(&[1, 2], BLOCK);
        state::write(0, b"load");
        Ok(())
    }
}

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let tokens = TensorView::<i64>::try_from(request.input("tokens")?)?;
        let tokens: Vec<u32> = tokens.iter().map(|&token| token as u32).collect();
        let count = state::find(&tokens, BLOCK);
        let mut found = Vec::new();
        for block in 0..count {
            found.extend(state::read(block).ok_or_else(|| Error::failed("a block is gone"))?);
        }
        if state::read(count).is_some() {
            return Err(Error::failed("there are more blocks than there are"));
        }
        let write = request
            .parameters
            .iter()
            .find(|given| given.name == "write");
        if let Some(Value::Integer(byte)) = write.map(|given| &given.value) {
            for block in count..tokens.len() as u32 / BLOCK {
                state::write(block, &[*byte as u8]);
            }
        }
        let length = [found.len() as u64];
        Ok(Response::from([Tensor::from_slice(
            "found", length, &found,
        )]))
    }
}

belljar_guest::export!(Guest: lifecycle, tensors);
