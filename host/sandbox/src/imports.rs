//! What a guest can reach: the `assets`, `log` and `state` interfaces of its own contract, and WASI
//! 0.2 with nothing behind it. No preopened folder, no socket, no environment, no argument; its
//! clocks and random numbers are those of `time_and_chance`.

use crate::{bindings::belljar::model as contract, state::GuestState, time_and_chance};
use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::{
    WasiView as _,
    cli::{WasiCli, WasiCliView as _},
    filesystem::{WasiFilesystem, WasiFilesystemView as _},
    p2::{
        Network, SocketError, SocketResult, bindings as wasi,
        bindings::sockets::network::{ErrorCode, IpAddressFamily},
    },
    sockets::{WasiSockets, WasiSocketsView as _},
};
use wasmtime_wasi_io::bindings::wasi::io;

/// Where an import may come from, besides the contract: the packages of WASI 0.2 that the
/// linker below fills. A longer name than these is `wasi:http/…`, for example.
const GRANTED_PREFIXES: [&str; 9] = [
    "belljar:model/assets@0.1.",
    "belljar:model/log@0.1.",
    "belljar:model/state@0.1.",
    "belljar:model/types@0.1.",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
];

/// Linked, and refused at the first call: guests made by componentize-py and others import
/// these whether they use them or not.
const SOCKETS_PREFIX: &str = "wasi:sockets/";

/// Whether the host grants an import of this name at all. The exact interface and version are
/// checked when the component meets the linker.
pub(crate) fn is_granted(name: &str) -> bool {
    name.starts_with(SOCKETS_PREFIX)
        || GRANTED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Everything that is granted, linked.
pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    contract::assets::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    contract::log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    contract::state::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    contract::types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;

    io::error::add_to_linker::<_, Io>(linker, |state| state.ctx().table)?;
    io::streams::add_to_linker::<_, Io>(linker, |state| state.ctx().table)?;
    time_and_chance::link(linker)?;
    wasi::cli::exit::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::environment::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::stdin::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::stdout::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::stderr::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::terminal_input::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::terminal_output::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, GuestState::cli)?;
    wasi::filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, GuestState::filesystem)?;
    wasi::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, GuestState::filesystem)?;
    wasi::sockets::tcp::add_to_linker::<_, WasiSockets>(linker, GuestState::sockets)?;
    wasi::sockets::udp::add_to_linker::<_, WasiSockets>(linker, GuestState::sockets)?;
    wasi::sockets::network::add_to_linker::<_, WasiSockets>(
        linker,
        &Default::default(),
        GuestState::sockets,
    )?;
    wasi::sockets::instance_network::add_to_linker::<_, WasiSockets>(linker, GuestState::sockets)?;
    wasi::sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(linker, GuestState::sockets)?;
    // The stock versions of these two make a socket and refuse to use it, so that a guest could
    // use up the host's file descriptors. Ours refuse to make one.
    wasi::sockets::tcp_create_socket::add_to_linker::<_, NoSockets>(linker, |_| NoSockets)?;
    wasi::sockets::udp_create_socket::add_to_linker::<_, NoSockets>(linker, |_| NoSockets)?;
    Ok(())
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

struct NoSockets;

impl HasData for NoSockets {
    type Data<'a> = Self;
}

impl wasi::sockets::network::Host for NoSockets {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        _: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl wasi::sockets::network::HostNetwork for NoSockets {
    fn drop(&mut self, _: Resource<Network>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl wasi::sockets::tcp_create_socket::Host for NoSockets {
    fn create_tcp_socket(
        &mut self,
        _: IpAddressFamily,
    ) -> SocketResult<Resource<wasi::sockets::tcp_create_socket::TcpSocket>> {
        Err(ErrorCode::AccessDenied.into())
    }
}

impl wasi::sockets::udp_create_socket::Host for NoSockets {
    async fn create_udp_socket(
        &mut self,
        _: IpAddressFamily,
    ) -> SocketResult<Resource<wasi::sockets::udp_create_socket::UdpSocket>> {
        Err(ErrorCode::AccessDenied.into())
    }
}

impl contract::types::Host for GuestState {}

impl contract::assets::Host for GuestState {
    fn list(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self
            .assets()
            .iter()
            .map(|asset| asset.name.clone())
            .collect())
    }

    fn size(&mut self, name: String) -> wasmtime::Result<Option<u64>> {
        Ok(self.asset(&name).map(|asset| asset.size))
    }

    fn read(&mut self, name: String, offset: u64, len: u64) -> wasmtime::Result<Option<Vec<u8>>> {
        self.read_asset(&name, offset, len)
    }
}

impl contract::log::Host for GuestState {
    fn write(&mut self, level: contract::log::Level, message: String) -> wasmtime::Result<()> {
        self.log(level, &message)
    }
}

impl contract::state::Host for GuestState {
    fn find(&mut self, tokens: Vec<u32>, block_tokens: u32) -> wasmtime::Result<u32> {
        Ok(self.named_blocks().find(&tokens, block_tokens))
    }

    fn read(&mut self, block: u32) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.named_blocks().read(block).map(<[u8]>::to_vec))
    }

    fn write(&mut self, block: u32, bytes: Vec<u8>) -> wasmtime::Result<()> {
        self.named_blocks().write(block, bytes);
        Ok(())
    }
}
