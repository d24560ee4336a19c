#include "HostVolumes.h"

#include "Fixture.h"

#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <fstream>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;
using matrixos::test::readFile;

namespace fs = std::filesystem;

namespace {

struct Volumes : TempDir {
  Settings settings;
  HostVolumes volumes{settings};
  fs::path users = path() / "users";
  std::string volume = users / "alice/matrixos";
};

struct stat statOf(const fs::path &path) {
  struct stat info {};
  CHECK(::lstat(path.c_str(), &info) == 0);
  return info;
}

} // namespace

TEST_CASE("a volume is made once, for its owner alone") {
  Volumes v;
  CHECK(v.volumes.ensure(v.volume));
  CHECK_FALSE(v.volumes.ensure(v.volume));
  CHECK((statOf(v.volume).st_mode & 07777U) == 0700);
  v.volumes.check(v.volume);
  CHECK(failure([&] { v.volumes.check(v.users / "bob/matrixos"); }).reason() == "VOLUME_NOT_FOUND");
}

TEST_CASE("a volume may be given to the image's user") {
  if (::geteuid() != 0) return;
  Volumes v;
  v.settings.volumeOwner = std::pair<uid_t, gid_t>(1000, 1001);
  v.volumes.ensure(v.volume);
  CHECK(statOf(v.volume).st_uid == 1000);
  CHECK(statOf(v.volume).st_gid == 1001);
  CHECK(statOf(v.users / "alice").st_uid == ::geteuid());
}

TEST_CASE("the first use of a users directory says whose homes lie there") {
  Volumes v;
  const auto marker = v.users / ".matrixos-install";
  CHECK(v.volumes.ensure(v.volume, {"install-1"}));
  CHECK(readFile(marker) == "install-1\n");
  CHECK_FALSE(v.volumes.ensure(v.volume, {"install-1", true}));
  CHECK(v.volumes.ensure(v.users / "bob/matrixos", {"install-1", false, {v.volume}}));
  const Error foreign = failure([&] { v.volumes.ensure(v.users / "carol/matrixos", {"install-2"}); });
  CHECK(foreign.reason() == "FOREIGN_USERS_DIR");
  CHECK(contains(foreign.what(), marker));
  CHECK_FALSE(fs::exists(v.users / "carol"));
  // What a crash left of it says nothing.
  std::ofstream(marker, std::ios::trunc);
  CHECK(v.volumes.ensure(v.users / "carol/matrixos", {"install-1", false, {v.volume}}));
  CHECK(readFile(marker) == "install-1\n");
}

TEST_CASE("a users directory that is not mounted is not an empty one") {
  Volumes v;
  const std::string other = v.users / "bob/matrixos";
  const auto refused = [&](const DirectoryVolumes::Known &known) {
    const Error error = failure([&] { v.volumes.ensure(v.volume, known); });
    CHECK(contains(error.what(), v.users));
    return error.reason();
  };
  SUBCASE("the mount point is empty") {
    fs::create_directory(v.users);
    CHECK(refused({"install-1", true}) == "USERS_DIR_MISSING");
    CHECK(refused({"install-1", false, {other}}) == "USERS_DIR_MISSING");
    CHECK(fs::is_empty(v.users));
  }
  SUBCASE("the mount point is not there") {
    CHECK(refused({"install-1", true}) == "USERS_DIR_MISSING");
    CHECK(refused({"install-1", false, {other}}) == "USERS_DIR_MISSING");
    CHECK_FALSE(fs::exists(v.users));
  }
  SUBCASE("it is there, but one home is not") {
    CHECK(v.volumes.ensure(other, {"install-1"}));
    CHECK(refused({"install-1", true, {other}}) == "VOLUME_NOT_FOUND");
    fs::create_directory(v.users / "alice"); // a mount point of its own
    CHECK(refused({"install-1", true, {other}}) == "VOLUME_NOT_FOUND");
    CHECK(fs::is_empty(v.users / "alice"));
  }
}

TEST_CASE("homes from before there was a marker are taken for what they are") {
  Volumes v;
  const std::string other = v.users / "bob/matrixos";
  v.volumes.ensure(v.volume);
  const DirectoryVolumes::Known known[]{{"install-1", true}, {"install-1", false, {other, v.volume}}};
  for (const auto &each : known) {
    fs::remove(v.users / ".matrixos-install");
    v.volumes.ensure(each.exists ? v.volume : std::string(v.users / "carol/matrixos"), each);
    CHECK(readFile(v.users / ".matrixos-install") == "install-1\n");
  }
}

TEST_CASE("paths that may be no volume") {
  Volumes v;
  for (const char *bad : {"",
                          "/",
                          "/a",
                          "/a/b",
                          "relative/a/b",
                          "/data/users/../../etc/x",
                          "/data//users/a",
                          "/data/./u/a",
                          "/data/users/a:b/c",
                          "/data/users/a\n/c",
                          "/etc/a/b",
                          "/proc/1/root",
                          "/usr/share/x",
                          "/dev/a/b",
                          "/var/run/docker/x",
                          "/var/lib/docker/volumes/x",
                          "/data/users/.trash/x",
                          "/data/users/a/.x",
                          "/data/users/a/",
                          "/sys/fs/cgroup"}) {
    CAPTURE(bad);
    CHECK(failure([&] { v.volumes.ensure(bad); }).reason() == "BAD_VOLUME");
    CHECK(failure([&] { v.volumes.check(bad); }).reason() == "BAD_VOLUME");
    CHECK(failure([&] { v.volumes.trash(bad, "x"); }).reason() == "BAD_VOLUME");
  }
  v.settings.volumeRoots = {"/somewhere/else"};
  CHECK(failure([&] { v.volumes.ensure(v.volume); }).reason() == "BAD_VOLUME");
  v.settings.volumeRoots = {v.path().string() + "/"};
  CHECK(v.volumes.ensure(v.volume));
  for (const char *bad : {"", "..", "a/b", ".x"}) {
    CHECK(failure([&] { v.volumes.trash(v.volume, bad); }).reason() == "BAD_VOLUME");
  }
}

TEST_CASE("a link in the place of a directory is never followed") {
  Volumes v;
  fs::create_directories(v.path() / "secret/matrixos");
  fs::create_directories(v.users);
  fs::create_directory_symlink(v.path() / "secret", v.users / "alice");
  CHECK(failure([&] { v.volumes.ensure(v.volume); }).reason() == "BAD_VOLUME");
  CHECK(failure([&] { v.volumes.check(v.volume); }).reason() == "BAD_VOLUME");
  fs::remove(v.users / "alice");
  fs::create_directories(v.users / "alice");
  fs::create_directory_symlink(v.path() / "secret", v.volume);
  CHECK(failure([&] { v.volumes.ensure(v.volume); }).reason() == "BAD_VOLUME");
  CHECK(failure([&] { v.volumes.check(v.volume); }).reason() == "BAD_VOLUME");
  // The operator's own directory may be one.
  fs::create_directory_symlink(v.users, v.path() / "linked");
  CHECK(v.volumes.ensure(v.path() / "linked/bob/matrixos"));
}

TEST_CASE(
    "an empty volume is removed with its folder, one that holds something stays, and so does what lies beside it") {
  Volumes v;
  v.volumes.removeIfEmpty(v.volume); // absent: success
  v.volumes.ensure(v.volume);
  std::ofstream(fs::path(v.volume) / "file") << "data";
  CHECK(failure([&] { v.volumes.removeIfEmpty(v.volume); }).status() == Status::FailedPrecondition);
  CHECK(readFile(fs::path(v.volume) / "file") == "data");
  fs::remove(fs::path(v.volume) / "file");
  std::ofstream(v.users / "alice/beside") << "data";
  v.volumes.removeIfEmpty(v.volume);
  CHECK_FALSE(fs::exists(v.volume));
  CHECK(readFile(v.users / "alice/beside") == "data");
  fs::remove(v.users / "alice/beside");
  v.volumes.removeIfEmpty(v.volume); // what a crash left half-way
  CHECK_FALSE(fs::exists(v.users / "alice"));
  CHECK(fs::exists(v.users));

  fs::create_directories(v.path() / "secret/matrixos");
  fs::create_directory_symlink(v.path() / "secret", v.users / "alice");
  CHECK(failure([&] { v.volumes.removeIfEmpty(v.volume); }).reason() == "BAD_VOLUME");
  CHECK(fs::exists(v.path() / "secret/matrixos"));
  CHECK(failure([&] { v.volumes.removeIfEmpty("/etc/x/y"); }).reason() == "BAD_VOLUME");
}

TEST_CASE("the trash takes all of a user's data, keeps it, and takes it again") {
  Volumes v;
  v.volumes.trash(v.volume, "01A"); // absent: success
  v.volumes.ensure(v.volume);
  std::ofstream(fs::path(v.volume) / "file") << "first";
  v.volumes.trash(v.volume, "01A");
  CHECK_FALSE(fs::exists(v.users / "alice"));
  CHECK(readFile(v.users / ".trash/01A/matrixos/file") == "first");
  v.volumes.trash(v.volume, "01A");
  v.volumes.ensure(v.volume);
  std::ofstream(fs::path(v.volume) / "file") << "second";
  v.volumes.trash(v.volume, "01A");
  CHECK(readFile(v.users / ".trash/01A/matrixos/file") == "first");
  CHECK(readFile(v.users / ".trash/01A.2/matrixos/file") == "second");
}

TEST_CASE("a snapshot is a faithful copy that follows nothing") {
  Volumes v;
  v.volumes.ensure(v.volume);
  const fs::path data = v.volume;
  fs::create_directories(data / "sub/deep");
  std::ofstream(data / "sub/deep/file") << "content";
  fs::permissions(data / "sub/deep/file", fs::perms(0640));
  fs::create_symlink("/etc/passwd", data / "link");
  REQUIRE(::mkfifo((data / "pipe").c_str(), 0600) == 0);
  {
    std::ofstream sparse(data / "sparse");
    sparse << "start";
    sparse.seekp(64 << 20);
    sparse << "end";
  }
  const CallScope scope(std::chrono::seconds{60});
  const Call call(scope.abi());
  v.volumes.snapshot(call, v.volume, "before-upgrade");
  const fs::path copy = v.users / ".snapshots/before-upgrade/matrixos";
  CHECK(readFile(copy / "sub/deep/file") == "content");
  CHECK((statOf(copy / "sub/deep/file").st_mode & 07777U) == 0640);
  CHECK(statOf(copy / "sub/deep/file").st_mtim.tv_sec == statOf(data / "sub/deep/file").st_mtim.tv_sec);
  CHECK(fs::is_symlink(copy / "link"));
  CHECK(fs::read_symlink(copy / "link") == "/etc/passwd");
  CHECK_FALSE(fs::exists(fs::symlink_status(copy / "pipe")));
  CHECK(fs::file_size(copy / "sparse") == (64U << 20U) + 3);
  CHECK(statOf(copy / "sparse").st_blocks * 512 < (1 << 20));
  CHECK(readFile(copy / "sparse") == readFile(data / "sparse"));
  CHECK((statOf(v.users / ".snapshots").st_mode & 0077U) == 0);
  // Again: the first stays as it is.
  std::ofstream(data / "sub/deep/file") << "changed";
  v.volumes.snapshot(call, v.volume, "before-upgrade");
  CHECK(readFile(copy / "sub/deep/file") == "content");
  CHECK(failure([&] { v.volumes.snapshot(call, v.users / "bob/matrixos", "x"); }).reason() == "VOLUME_NOT_FOUND");
}

TEST_CASE("a snapshot that is cancelled leaves nothing, and one that was cut is made anew") {
  Volumes v;
  v.volumes.ensure(v.volume);
  std::ofstream(fs::path(v.volume) / "file") << "content";
  CallScope cancelled(std::chrono::seconds{60});
  cancelled.cancel();
  CHECK(failure([&] { v.volumes.snapshot(Call(cancelled.abi()), v.volume, "s1"); }).status() == Status::Cancelled);
  CHECK(fs::is_empty(v.users / ".snapshots"));
  fs::create_directories(v.users / ".snapshots/.s1.partial/left/over");
  const CallScope scope(std::chrono::seconds{60});
  v.volumes.snapshot(Call(scope.abi()), v.volume, "s1");
  CHECK(readFile(v.users / ".snapshots/s1/matrixos/file") == "content");
  CHECK_FALSE(fs::exists(v.users / ".snapshots/s1/left"));
  CHECK_FALSE(fs::exists(v.users / ".snapshots/.s1.partial"));
}
