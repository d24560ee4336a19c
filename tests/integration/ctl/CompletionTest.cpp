// Tab completion, in the shells that it is for, and the manual page, which is made of the same declarations.
#include "support/DaemonProcess.h"
#include "support/Process.h"
#include "support/TempDir.h"

#include <doctest/doctest.h>

using namespace matrixos::test;

namespace {

std::string script(const TempDir &dir, const std::string &shell) {
  const Finished made = run({(buildDir() / "bin/matrixosctl").string(), "completion", shell});
  REQUIRE(made.status == 0);
  writeFile(dir / shell, made.out);
  return (dir / shell).string();
}

/// A matrixosctl that knows two instances and one plugin, in front of the PATH.
std::string withNames(const TempDir &dir) {
  writeFile(dir / "matrixosctl",
            "#!/bin/sh\ncase $1 in containers|usage) printf 'alice\\nbob\\n';; plugins) echo proxy;; esac\n");
  std::filesystem::permissions(dir / "matrixosctl", std::filesystem::perms::owner_all);
  return "PATH=" + dir.path().string() + ":$PATH; ";
}

std::string bash(const std::string &setUp, const std::string &words) {
  const Finished done = run({"bash", "-c",
                             setUp + "COMP_WORDS=(" + words +
                                 "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _matrixosctl; "
                                 "echo ${COMPREPLY[@]}"});
  CHECK(done.status == 0);
  return done.out;
}

/// What zsh's completion system is given, one match a line.
std::string zsh(const std::string &setUp, const std::string &words) {
  const Finished done = run({"zsh", "-fc",
                             "compdef() { :; }; compadd() { shift; print -l -- $@; }; "
                             "_describe() { local -a all; all=(${(P)@[-1]}); print -l -- ${all%%:*}; }; " +
                                 setUp + "words=(" + words + "); CURRENT=${#words}; _matrixosctl"});
  CHECK(done.status == 0);
  return done.out;
}

std::string fish(const std::string &setUp, const std::string &line) {
  const Finished done = run({"fish", "-c", setUp + "complete -C '" + line + "' | cut -f1"});
  CHECK(done.status == 0);
  return done.out;
}

} // namespace

TEST_CASE("bash completes commands, options, instances and plugins") {
  const TempDir dir;
  const std::string setUp = withNames(dir) + "source " + script(dir, "bash") + "; ";
  CHECK(bash(setUp, "matrixosctl con") == "config containers\n");
  CHECK(bash(setUp, "matrixosctl containers de") == "destroy\n");
  CHECK(bash(setUp, "matrixosctl containers destroy --y") == "--yes\n");
  CHECK(bash(setUp, "matrixosctl --json containers show ''") == "alice bob\n");
  CHECK(bash(setUp, "matrixosctl plugins reload ''") == "proxy\n");
  // One command is the beginning of others.
  CHECK(bash(setUp, "matrixosctl usage ''") == "limits limit alice bob\n");
  CHECK(bash(setUp, "matrixosctl usage limit ''") == "alice bob\n");
  CHECK(bash(setUp, "matrixosctl usage limit --d") == "--daily\n");
  CHECK(bash(setUp, "matrixosctl usage alice --b") == "--by\n");
}

TEST_CASE("zsh completes commands, options, instances and plugins") {
  const TempDir dir;
  const std::string setUp = withNames(dir) + "source " + script(dir, "zsh") + "; ";
  const std::string commands = zsh(setUp, "matrixosctl ''");
  CHECK(commands.find("containers\n") != std::string::npos);
  CHECK(commands.find("status\n") != std::string::npos);
  CHECK(zsh(setUp, "matrixosctl containers ''") == "list\nshow\nprovision\nstart\nstop\ndestroy\n");
  CHECK(zsh(setUp, "matrixosctl containers destroy --").find("--yes\n") != std::string::npos);
  CHECK(zsh(setUp, "matrixosctl --json containers show ''") == "alice\nbob\n");
  CHECK(zsh(setUp, "matrixosctl plugins reload ''") == "proxy\n");
  CHECK(zsh(setUp, "matrixosctl usage ''") == "alice\nbob\nlimits\nlimit\n");
  CHECK(zsh(setUp, "matrixosctl usage limit ''") == "alice\nbob\n");
  CHECK(zsh(setUp, "matrixosctl usage limit --").find("--daily\n") != std::string::npos);
  CHECK(zsh(setUp, "matrixosctl usage alice --").find("--daily\n") == std::string::npos);
}

TEST_CASE("fish completes commands, options, instances and plugins") {
  const TempDir dir;
  const std::string setUp = "set -x HOME " + dir.path().string() + "; set -x PATH " + dir.path().string() +
                            " $PATH; source " + script(dir, "fish") + "; ";
  withNames(dir);
  CHECK(fish(setUp, "matrixosctl con") == "config\ncontainers\n");
  CHECK(fish(setUp, "matrixosctl containers d") == "destroy\n");
  CHECK(fish(setUp, "matrixosctl containers destroy --y") == "--yes\n");
  CHECK(fish(setUp, "matrixosctl containers show ") == "alice\nbob\n");
  CHECK(fish(setUp, "matrixosctl plugins reload ") == "proxy\n");
  CHECK(fish(setUp, "matrixosctl usage lim") == "limit\nlimits\n");
  CHECK(fish(setUp, "matrixosctl usage a") == "alice\n");
  CHECK(fish(setUp, "matrixosctl usage limit ") == "alice\nbob\n");
  CHECK(fish(setUp, "matrixosctl usage limit --da") == "--daily\n");
}

TEST_CASE("what a package installs for each shell asks for the script when it is used") {
  const TempDir dir;
  const auto packaged = [](const std::string &shell) {
    return (buildDir() / "packaging" / ("completion." + shell)).string();
  };
  const std::string path = "PATH=" + (buildDir() / "bin").string() + ":$PATH; ";
  CHECK(bash(path + "source " + packaged("bash") + "; ", "matrixosctl containers de") == "destroy\n");
  // The first use loads the function, and is one already.
  std::filesystem::copy_file(packaged("zsh"), dir / "_matrixosctl");
  const std::string load = path + "fpath=(" + dir.path().string() + "); autoload -U _matrixosctl; ";
  CHECK(zsh(load, "matrixosctl containers ''").rfind("list\nshow\n", 0) == 0);
  const std::string setUp = "set -x HOME " + dir.path().string() + "; set -x PATH " + (buildDir() / "bin").string() +
                            " $PATH; source " + packaged("fish") + "; ";
  CHECK(fish(setUp, "matrixosctl containers d") == "destroy\n");
}

TEST_CASE("a shell that nobody completes in is refused by name") {
  const Finished refused = run({(buildDir() / "bin/matrixosctl").string(), "completion", "tcsh"});
  CHECK(refused.status == 64);
  CHECK(refused.out.find("there is no completion for \"tcsh\"; choose bash, zsh or fish") != std::string::npos);
}

TEST_CASE("the manual page is one that groff has nothing to say about, and names every command") {
  const TempDir dir;
  const Finished page = run({(buildDir() / "bin/matrixosctl").string(), "help", "--man"});
  REQUIRE(page.status == 0);
  writeFile(dir / "page", page.out);
  const Finished shown =
      run({"groff", "-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-o", "-P-u", (dir / "page").string()});
  CHECK(shown.status == 0);
  CHECK(shown.out.find("warning") == std::string::npos);
  for (const char *part :
       {"containers provision HANDLE --user ID", "plugins doctor", "EXIT STATUS", "matrixosd.ini(5)"})
    CHECK_MESSAGE(shown.out.find(part) != std::string::npos, part);
}
