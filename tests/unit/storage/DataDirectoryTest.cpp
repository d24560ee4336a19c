#include "storage/DataDirectory.h"

#include "unit/common/Fixtures.h"
#include "unit/storage/ChildProcess.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;

TEST_CASE("child: holds a data directory" * doctest::skip()) {
  if (childArgument().empty()) return;
  const DataDirectory directory(childArgument());
  say("held");
  for (;;)
    ::pause();
}

TEST_CASE("a data directory is private and belongs to one process, until that ends in whatever way") {
  const TempDir dir;
  const auto path = dir / "deep/er/data";
  ChildProcess child("child: holds a data directory", path.string());
  std::string line;
  REQUIRE(child.readUntil("held", line));
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  const Error taken = errorOf([&] { const DataDirectory second(path); });
  CHECK(taken.status() == Status::Unavailable);
  CHECK(taken.reason() == "IN_USE");
  CHECK(std::string(taken.what()).find("process " + std::to_string(child.pid())) != std::string::npos);
  child.kill();
  const DataDirectory mine(path);
  CHECK(mine.path() == path);
  CHECK(errorOf([&] { const DataDirectory again(path); }).reason() == "IN_USE");
}

TEST_CASE("a lock file that is a link, and a path that is a file, are refused") {
  const TempDir dir;
  std::filesystem::create_symlink("/etc/hostname", dir / "lock");
  CHECK(statusOf([&] { const DataDirectory directory(dir.path()); }) != Status::Ok);
  { std::ofstream(dir / "file") << "x"; }
  CHECK(statusOf([&] { const DataDirectory directory(dir / "file"); }) != Status::Ok);
}
