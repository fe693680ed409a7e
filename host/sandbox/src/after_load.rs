//! Reads what a component is after `load`, for its snapshot. What goes wrong there is told: the
//! reader that comes with the snapshot tool panics.

use crate::state::GuestState;
use tokio::sync::oneshot;
use wasmtime::{
    Store,
    component::{Instance, Lift, WasmList},
};
use wasmtime_wizer::ComponentInstanceState;

/// Bytes that a memory grows by while it is read. Each of the two times that it is read, a page is
/// added behind it, in which the reader's result lies.
pub(crate) const ROOM_BYTES: u64 = 2 * (64 << 10);

/// An instance after `load`.
pub(crate) struct AfterLoad<'a> {
    store: &'a mut Store<GuestState>,
    instance: Instance,
    failed: Option<oneshot::Sender<wasmtime::Error>>,
}

impl<'a> AfterLoad<'a> {
    /// An instance to be read, and what hears of the first thing that cannot be read. From then on
    /// the reading does not go on: it can only be dropped.
    pub(crate) fn new(
        store: &'a mut Store<GuestState>,
        instance: Instance,
    ) -> (Self, oneshot::Receiver<wasmtime::Error>) {
        let (failed, failure) = oneshot::channel();
        let failed = Some(failed);
        let after_load = Self {
            store,
            instance,
            failed,
        };
        (after_load, failure)
    }

    async fn call<R: Lift + Send + Sync + 'static>(
        &mut self,
        instance: &str,
        function: &str,
    ) -> wasmtime::Result<R> {
        let missing = || wasmtime::format_err!("there is no `{function}` in `{instance}`");
        let interface = self
            .instance
            .get_export_index(&mut *self.store, None, instance)
            .ok_or_else(missing)?;
        let index = self
            .instance
            .get_export_index(&mut *self.store, Some(&interface), function)
            .ok_or_else(missing)?;
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut *self.store, index)?;
        let (read,) = function.call_async(&mut *self.store, ()).await?;
        Ok(read)
    }

    /// What a call gives. Where it fails, that is told, and nothing comes back.
    async fn read<R: Lift + Send + Sync + 'static>(&mut self, instance: &str, function: &str) -> R {
        match self.call(instance, function).await {
            Ok(read) => read,
            Err(error) => {
                if let Some(failed) = self.failed.take() {
                    // Whoever drives this listens.
                    let _ = failed.send(error);
                }
                std::future::pending().await
            }
        }
    }
}

impl ComponentInstanceState for AfterLoad<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list: WasmList<u8> = self.read(instance, func).await;
        contents(list.as_le_slice(&*self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read(instance, func).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read(instance, func).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.read::<f32>(instance, func).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.read::<f64>(instance, func).await.to_bits()
    }
}
