//! fuser's callbacks, translated. Decides nothing.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request, TimeOrNow,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::init;
use super::readers::Readers;
use super::translate::{BLOCK_BYTES, errno, file_attr, file_type, room};
use crate::fs::{Access, ENTRY_TTL, FileSystem, FsError, NAME_BYTES_MAX};

/// Requests that wait for a peer at once; more are EAGAIN. The kernel keeps its
/// read-ahead below `BACKGROUND_MAX`, and each waiting application thread adds
/// one: this is for a thousand of those. With reads of 1 MiB it bounds the
/// memory of answers to 1 GiB.
const IN_FLIGHT_MAX: usize = 1024;

/// Numbers are never used twice, so one generation is enough.
const GENERATION: Generation = Generation(0);

/// Pages are dropped at open (no `FOPEN_KEEP_CACHE`): each open reads from the
/// peer. Nothing is written, so close needs no flush.
const OPEN_FLAGS: FopenFlags = FopenFlags::FOPEN_NOFLUSH;

/// One mounted [`FileSystem`].
#[derive(Debug)]
pub(super) struct Adapter {
    file_system: Arc<FileSystem>,
    runtime: Handle,
    readers: Readers,
    in_flight: Arc<Semaphore>,
}

impl Adapter {
    pub(super) fn new(file_system: Arc<FileSystem>, runtime: Handle, readers: Readers) -> Self {
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        Self { file_system, runtime, readers, in_flight }
    }

    /// Does `work` in a task and replies from there.
    fn spawn<R, T, W>(
        &self,
        reply: R,
        fail: fn(R, Errno),
        work: impl FnOnce(Arc<FileSystem>) -> W,
        done: impl FnOnce(R, T) + Send + 'static,
    ) where
        R: Send + 'static,
        T: Send,
        W: Future<Output = Result<T, FsError>> + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            tracing::warn!(in_flight = IN_FLIGHT_MAX, "too many requests wait for peers");
            return fail(reply, Errno::EAGAIN);
        };
        let work = work(Arc::clone(&self.file_system));
        self.runtime.spawn(async move {
            match work.await {
                Ok(answer) => done(reply, answer),
                Err(error) => fail(reply, errno(&error)),
            }
            drop(permit);
        });
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        init::negotiate(config);
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.spawn(
            reply,
            ReplyEntry::error,
            |fs| async move { fs.lookup(parent.0, &name).await },
            |reply, found| reply.entry(&ENTRY_TTL, &file_attr(&found), GENERATION),
        );
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.file_system.forget(ino.0, nlookup);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.spawn(
            reply,
            ReplyAttr::error,
            |fs| async move { fs.getattr(ino.0).await },
            |reply, attributes| reply.attr(&ENTRY_TTL, &file_attr(&attributes)),
        );
    }

    fn access(&self, _req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        let access = if mask.contains(AccessFlags::W_OK) { Access::Write } else { Access::Read };
        answer_empty(reply, self.file_system.access(ino.0, access));
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let access = match flags.acc_mode() {
            OpenAccMode::O_RDONLY => Access::Read,
            OpenAccMode::O_WRONLY | OpenAccMode::O_RDWR => Access::Write,
        };
        let reader = self.readers.span_of(req.pid());
        self.spawn(
            reply,
            ReplyOpen::error,
            move |fs| async move { fs.open(ino.0, access, reader).await },
            |reply, handle| reply.opened(FileHandle(handle), OPEN_FLAGS),
        );
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.spawn(
            reply,
            ReplyData::error,
            |fs| async move { fs.read(fh.0, offset, size).await },
            |reply, bytes| reply.data(&bytes),
        );
    }

    fn flush(&self, _req: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        answer_empty(reply, self.file_system.release(fh.0));
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.spawn(
            reply,
            ReplyOpen::error,
            |fs| async move { fs.open_directory(ino.0).await },
            |reply, handle| reply.opened(FileHandle(handle), FopenFlags::empty()),
        );
    }

    fn readdir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listed = self.file_system.read_directory(fh.0, offset, |entry| {
            let ino = INodeNo(entry.attributes.number);
            room(reply.add(ino, entry.next_offset, file_type(&entry.attributes), entry.name))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn readdirplus(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let listed = self.file_system.read_directory_plus(fh.0, offset, |entry| {
            let attr = file_attr(&entry.attributes);
            let offset = entry.next_offset;
            room(reply.add(attr.ino, offset, entry.name, &ENTRY_TTL, &attr, GENERATION))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        answer_empty(reply, self.file_system.release_directory(fh.0));
    }

    /// Sizes of a peer's disk are not ours to know: no blocks, none free.
    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let name_bytes_max = u32::try_from(NAME_BYTES_MAX).unwrap_or(u32::MAX);
        reply.statfs(0, 0, 0, 0, 0, BLOCK_BYTES, name_bytes_max, BLOCK_BYTES);
    }

    // What the kernel does itself when told once that we do not.

    fn getxattr(&self, _req: &Request, _: INodeNo, _: &OsStr, _size: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _req: &Request, _ino: INodeNo, _size: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn lseek(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: i64,
        _whence: i32,
        reply: ReplyLseek,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    // Everything below writes. The kernel refuses it by the mount's read-only flag,
    // which an administrator can remove. write(2) and the like need a file that is
    // open for writing, and there is none.

    fn setattr(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn mknod(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn mkdir(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn unlink(&self, _req: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn rmdir(&self, _req: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn symlink(&self, _req: &Request, _: INodeNo, _: &OsStr, _target: &Path, reply: ReplyEntry) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn rename(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _newparent: INodeNo,
        _newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn link(&self, _req: &Request, _: INodeNo, _: INodeNo, _newname: &OsStr, reply: ReplyEntry) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn create(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn setxattr(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _name: &OsStr,
        _value: &[u8],
        _flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(errno(&FsError::ReadOnly));
    }

    fn removexattr(&self, _req: &Request, _ino: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(errno(&FsError::ReadOnly));
    }
}

fn answer_empty(reply: ReplyEmpty, result: Result<(), FsError>) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}
