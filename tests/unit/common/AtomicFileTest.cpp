#include "common/AtomicFile.h"

#include "unit/common/Fixtures.h"

#include <matrixos/file_descriptor.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iterator>

using namespace matrixos;
using namespace matrixos::common;
using namespace matrixos::test;

namespace {

std::ptrdiff_t filesIn(const std::filesystem::path &folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

} // namespace

TEST_CASE("a file is replaced as a whole, with the mode asked for and nothing left beside it") {
  const TempDir dir;
  const auto path = dir / "secret";
  writeFileAtomically(path, "first");
  writeFileAtomically(path, "second", 0640);
  CHECK(common::readFile(path) == "second");
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  CHECK(filesIn(dir.path()) == 1);
}

TEST_CASE("a write that fails leaves the old file and no rubbish") {
  const TempDir dir;
  const auto path = dir / "state";
  writeFileAtomically(path, "old");
  // In a child, since the limit counts for the whole process: files end at 4 KiB, as on a full disk.
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const bool failed = statusOf([&] { writeFileAtomically(path, std::string(100'000, 'x')); }) != Status::Ok;
    ::_exit(failed ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(common::readFile(path) == "old");
  CHECK(filesIn(dir.path()) == 1);
}

TEST_CASE("failures carry a status and the path") {
  const TempDir dir;
  const Error missing = errorOf([&] { common::readFile(dir / "none"); });
  CHECK(missing.status() == Status::NotFound);
  CHECK(std::string(missing.what()).find((dir / "none").string()) != std::string::npos);
  CHECK(statusOf([&] { writeFileAtomically(dir / "no" / "folder", "x"); }) == Status::NotFound);
  writeFileAtomically(dir / "long", std::string(100, 'x'));
  CHECK(statusOf([&] { common::readFile(dir / "long", 99); }) == Status::OutOfRange);
  CHECK(common::readFile(dir / "long", 100).size() == 100);
}

TEST_CASE("a descriptor is closed once") {
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(raw >= 0);
  {
    FileDescriptor first(raw);
    FileDescriptor second(std::move(first));
    CHECK_FALSE(first);
    CHECK(second.get() == raw);
  }
  CHECK(::fcntl(raw, F_GETFD) == -1);
}
