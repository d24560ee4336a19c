#include "unit/config/Fixture.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <random>

using namespace matrixos::config;
using namespace matrixos::config::test;
using Problems = std::vector<std::string>;

namespace {

/// Problems of the file `name` in `dir`, which the caller has prepared.
Problems problemsIn(const TempDir &dir, const std::string &name) {
  LoadOptions options;
  options.file = name;
  options.workingDirectory = dir.path();
  options.sets = {"plugins.enabled="};
  try {
    validate(load(options), sampleSchema());
    return {};
  } catch (const ConfigError &e) {
    return e.problems();
  }
}

std::string repeat(const std::string &text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i)
    out += text;
  return out;
}

/// Runs `body` as a user who may do nothing, when the tests run as root, who may do everything.
void asNobody(const std::function<void()> &body) {
  const bool isRoot = ::geteuid() == 0;
  if (isRoot) REQUIRE(::seteuid(65534) == 0);
  body();
  if (isRoot) REQUIRE(::seteuid(0) == 0);
}

} // namespace

TEST_CASE("NUL bytes, control characters and invalid UTF-8 are refused with their line") {
  const std::string nul("[engine]\nimage = a\0b\n", 21);
  CHECK(problemsOf(nul) == Problems{"x.ini:2: the line holds a control character; write plain UTF-8 text"});
  CHECK(problemsOf("[engine]\nimage = \x1b[31m\n") ==
        Problems{"x.ini:2: the line holds a control character; write plain UTF-8 text"});
  for (const char *bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    CHECK(problemsOf("[engine]\nimage = " + std::string(bytes) + "\n") ==
          Problems{"x.ini:2: the line holds invalid UTF-8; write plain UTF-8 text"});
    CHECK(problemsOf("<matrixos>\n<engine>\n<image>" + std::string(bytes) + "</image></engine></matrixos>") ==
          Problems{"x.xml:3: the line holds invalid UTF-8; write plain UTF-8 text"});
  }
  const std::string xmlNul("<matrixos>\0</matrixos>", 22);
  CHECK(problemsOf(xmlNul) == Problems{"x.xml:1: the line holds a control character; write plain UTF-8 text"});
  CHECK(problemsOf("<matrixos><engine>\n<image>&#0;</image></engine></matrixos>") ==
        Problems{"x.xml:2: malformed XML: reference to invalid character number"});
  CHECK(problemsOf("<matrixos><engine>\n<image>&#x7f;</image></engine></matrixos>") ==
        Problems{R"(x.xml:2: the value of "image" holds a control character; write plain UTF-8 text)"});
}

TEST_CASE("UTF-16 is no configuration, whatever the document claims") {
  const TempDir dir;
  const std::string utf16("\xff\xfe<\0m\0a\0/\0>\0", 12);
  dir.write("x.xml", utf16);
  CHECK(problemsIn(dir, "x.xml").size() == 1);
  // A claimed encoding does not change how the bytes are read.
  dir.write("y.xml", "<?xml version=\"1.0\" "
                     "encoding=\"ISO-8859-1\"?>\n<matrixos><engine><image>\xc3\xbc.de</image></engine></matrixos>");
  LoadOptions options;
  options.file = dir.path() / "y.xml";
  options.sets = {"plugins.enabled="};
  CHECK(validate(load(options), sampleSchema())->getString("engine", "image") == "\xc3\xbc.de");
}

TEST_CASE("a line of 10 MB is not even read in") {
  const TempDir dir;
  dir.write("x.ini", "[engine]\nimage = " + std::string(10'000'000, 'a') + "\n");
  CHECK(problemsIn(dir, "x.ini") == Problems{"x.ini: is larger than 1MB"});
  dir.write("y.ini", std::string(900'000, 'a'));
  const auto problems = problemsIn(dir, "y.ini");
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].size() < 300);
}

TEST_CASE("a file of nothing but mistakes ends the reading early") {
  const auto problems = problemsOf(repeat("nonsense\n", 100'000));
  CHECK(problems.size() == 51);
  CHECK(problems.back() == "x.ini:51: too many problems; the rest of the file was not read");
  CHECK(problemsOf("<matrixos>" + repeat("<edge/>", 100'000) + "</matrixos>").size() == 51);
}

TEST_CASE("XML nested without end costs nothing and is refused") {
  CHECK(problemsOf(repeat("<a>", 300'000)).size() == 2);
  const auto problems = problemsOf("<matrixos><edge><listen>" + repeat("<a>", 50'000) + repeat("</a>", 50'000) +
                                   "</listen></edge></matrixos>");
  CHECK(problems.size() == 1);
}

TEST_CASE("no document type means no entity: neither bombs nor files from outside") {
  const Problems refused{"x.xml:1: document types and entities are refused; remove <!DOCTYPE …>"};
  CHECK(problemsOf("<!DOCTYPE matrixos [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
                   "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">]>"
                   "<matrixos><platform><domain>&d;</domain></platform></matrixos>") == refused);
  CHECK(problemsOf("<!DOCTYPE matrixos [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"
                   "<matrixos><platform><domain>&x;</domain></platform></matrixos>") == refused);
  CHECK(problemsOf("<!DOCTYPE matrixos SYSTEM \"http://127.0.0.1:1/x.dtd\"><matrixos/>") == refused);
}

TEST_CASE("what is no file is refused at once") {
  const TempDir dir;
  CHECK(problemsIn(dir, "none.ini") == Problems{"none.ini: cannot be opened: No such file or directory"});
  std::filesystem::create_directory(dir.path() / "folder.ini");
  CHECK(problemsIn(dir, "folder.ini") == Problems{"folder.ini: is a directory; a file is expected"});
  REQUIRE(::mkfifo((dir.path() / "pipe.ini").c_str(), 0600) == 0);
  CHECK(problemsIn(dir, "pipe.ini") == Problems{"pipe.ini: is not a regular file"});
  CHECK(problemsIn(dir, "/dev/zero") == Problems{"/dev/zero: is not a regular file"});
  dir.write("plain", "");
  CHECK(problemsIn(dir, "plain/x.ini").at(0) == "plain/x.ini: cannot be opened: Not a directory");
}

TEST_CASE("a link is followed, a loop of links is refused") {
  const TempDir dir;
  dir.write("real/x.ini", "[platform]\ndomain = example.org\n");
  std::filesystem::create_symlink("real/x.ini", dir.path() / "link.ini");
  CHECK(problemsIn(dir, "link.ini").empty());
  std::filesystem::create_symlink("loop.ini", dir.path() / "loop.ini");
  CHECK(problemsIn(dir, "loop.ini") == Problems{"loop.ini: cannot be opened: Too many levels of symbolic links"});
}

TEST_CASE("a file that may not be read is named") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  const auto file = dir.write("x.ini", "");
  ::chmod(file.c_str(), 0);
  Problems problems;
  asNobody([&] { problems = problemsIn(dir, "x.ini"); });
  CHECK(problems == Problems{"x.ini: cannot be opened: Permission denied"});
}

TEST_CASE("a conf.d that may not be listed is named, and so is one that is no folder") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  ::chmod(dir.write("x.ini", "").c_str(), 0644);
  dir.write("conf.d/a.ini", "");
  ::chmod((dir.path() / "conf.d").c_str(), 0);
  Problems problems;
  asNobody([&] { problems = problemsIn(dir, "x.ini"); });
  CHECK(problems == Problems{"conf.d: cannot be listed: Permission denied"});
  std::filesystem::remove_all(dir.path() / "conf.d");
  dir.write("conf.d", "");
  CHECK(problemsIn(dir, "x.ini") == Problems{"conf.d: cannot be listed: Not a directory"});
}

TEST_CASE("a file that everybody may change is worth a warning") {
  const TempDir dir;
  ::chmod(dir.write("x.ini", "").c_str(), 0666);
  LoadOptions options;
  options.file = "x.ini";
  options.workingDirectory = dir.path();
  options.sets = {"plugins.enabled="};
  CHECK(validate(load(options), sampleSchema())->warnings() ==
        Problems{"x.ini can be changed by every user of this machine; chmod o-w it"});
}

TEST_CASE("random bytes and damaged files end in problems or a configuration, never otherwise") {
  std::mt19937 random(4711);
  const std::string ini = "[engine]\nimage = \"x\"\nmemory = 256MB\n[edge]\nlisten = 127.0.0.1:9000\n";
  const std::string xml = "<matrixos><engine><image>x</image></engine><edge><listen>unix:/a</listen></edge></matrixos>";
  for (int round = 0; round < 1500; ++round) {
    std::string text = round % 2 == 0 ? ini : xml;
    for (auto i = 1 + random() % 4; i > 0 && !text.empty(); --i) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
      case 0:
        text[at] = static_cast<char>(random() % 256);
        break;
      case 1:
        text.erase(at, 1 + random() % 8);
        break;
      default:
        text.insert(at, text.substr(random() % text.size(), random() % 16));
        break;
      }
    }
    for (const auto &problem : problemsOf(text)) {
      CHECK_FALSE(problem.empty());
      CHECK(problem.size() < 1000);
      CHECK(problem.find('\n') == std::string::npos);
    }
  }
}
