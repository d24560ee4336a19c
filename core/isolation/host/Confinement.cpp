#include "isolation/host/Confinement.h"

#include "common/SystemError.h"

#include <matrixos/file_descriptor.hpp>

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <vector>

namespace matrixos::isolation::host {

namespace {

constexpr unsigned kNobody = 65534;

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kForeignNumbers = 0x40000000; // __X32_SYSCALL_BIT
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t kForeignNumbers = UINT32_MAX;
#endif

/// Refused whatever their arguments are. What is not here either reads, or needs rights or descriptors that a process
/// without these does not have.
constexpr int kRefused[] = {
    SYS_execve,
    SYS_execveat,
    SYS_socket,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kill,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mkdirat,
    SYS_mknodat,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_truncate,
    SYS_ftruncate,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_io_uring_setup,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_userfaultfd,
    SYS_mq_open,
    SYS_shmget,
#if defined(__x86_64__)
    SYS_fork,
    SYS_vfork,
    SYS_creat,
    SYS_unlink,
    SYS_rmdir,
    SYS_rename,
    SYS_link,
    SYS_symlink,
    SYS_mkdir,
    SYS_mknod,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
#endif
};

class Filter {
public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0);
    finish(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
    add(BPF_JMP | BPF_JGE | BPF_K, kForeignNumbers, 0, 1);
    finish(SECCOMP_RET_KILL_PROCESS);
  }

  void refuse(int call, int error = EPERM) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1);
    finish(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
  }
  /// Refuses it when one of the bits of its argument is set, or when none is.
  void refuseIf(int call, unsigned argument, std::uint32_t bits, bool set) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 4);
    load(static_cast<std::uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t))); // little endian
    add(BPF_JMP | BPF_JSET | BPF_K, bits, set ? 0 : 1, set ? 1 : 0);
    finish(SECCOMP_RET_ERRNO | EPERM);
    finish(SECCOMP_RET_ALLOW);
  }
  /// For this thread and those that it starts.
  bool install() {
    finish(SECCOMP_RET_ALLOW);
    const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
  }

private:
  void add(unsigned code, std::uint32_t value, int yes = 0, int no = 0) {
    code_.push_back(
        {static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(yes), static_cast<std::uint8_t>(no), value});
  }
  void load(std::uint32_t offset) { add(BPF_LD | BPF_W | BPF_ABS, offset); }
  void finish(std::uint32_t answer) { add(BPF_RET | BPF_K, answer); }

  std::vector<sock_filter> code_;
};

/// False in a user namespace that maps only some users (user_namespaces(7)): there root is an ordinary user outside.
bool isMapped(std::uint64_t user) {
  std::ifstream map("/proc/self/uid_map");
  for (std::uint64_t inside = 0, outside = 0, count = 0; map >> inside >> outside >> count;)
    if (user >= inside && user - inside < count) return true;
  return false;
}

bool dropCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  return ::syscall(SYS_capset, &header, none) == 0;
}

} // namespace

void confine(bool needed) {
  Filter filter;
  for (const int call : kRefused)
    filter.refuse(call);
  // Their arguments lie in memory, where a filter cannot look; the C library then uses the older calls.
  filter.refuse(SYS_clone3, ENOSYS);
  filter.refuse(SYS_openat2, ENOSYS);
  filter.refuseIf(SYS_clone, 0, CLONE_THREAD, false);
  constexpr std::uint32_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
  filter.refuseIf(SYS_openat, 2, kWriting, true);
#if defined(__x86_64__)
  filter.refuseIf(SYS_open, 1, kWriting, true);
#endif
  if (!filter.install() && needed) common::throwErrno(errno, "confining the process that looks at a plugin");
}

void becomeNobody() {
  if (::geteuid() != 0) return;
  const bool done = isMapped(kNobody) ? ::setgroups(0, nullptr) == 0 && ::setresgid(kNobody, kNobody, kNobody) == 0 &&
                                            ::setresuid(kNobody, kNobody, kNobody) == 0
                                      : dropCapabilities();
  if (!done) {
    common::throwErrno(errno, "giving up root's rights to look at a plugin");
  }
}

void becomeUser(uid_t user) {
  if (::geteuid() != 0) return;
  const passwd *entry = ::getpwuid(user);
  const gid_t group = entry != nullptr ? entry->pw_gid : user;
  const bool grouped = entry != nullptr ? ::initgroups(entry->pw_name, group) == 0 : ::setgroups(0, nullptr) == 0;
  if (!grouped || ::setresgid(group, group, group) != 0 || ::setresuid(user, user, user) != 0)
    common::throwErrno(errno, "becoming another user to look at a plugin's section");
}

std::string copyToMemory(const std::string &file) {
  const FileDescriptor from(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) common::throwErrno(errno, "opening " + file);
  FileDescriptor to(::memfd_create("plugin", MFD_CLOEXEC));
  if (!to) common::throwErrno(errno, "copying " + file);
  for (;;) {
    const ssize_t put = ::sendfile(to.get(), from.get(), nullptr, std::size_t{1} << 30U);
    if (put < 0) common::throwErrno(errno, "copying " + file);
    if (put == 0) return "/proc/self/fd/" + std::to_string(to.release()); // it stays mapped, and open
  }
}

} // namespace matrixos::isolation::host
