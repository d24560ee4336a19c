#include "unit/config/Fixture.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace matrixos::config;
using namespace matrixos::config::test;

namespace {

LoadOptions optionsFor(const TempDir &dir, const std::string &file) {
  LoadOptions options;
  options.file = file;
  options.workingDirectory = dir.path();
  options.sets = {"plugins.enabled=engine, edge"};
  return options;
}

std::string textOf(const LoadOptions &options, const char *section, const char *key) {
  return validate(load(options), sampleSchema())->getString(section, key);
}

std::vector<std::string> problemsOf(const LoadOptions &options) {
  try {
    validate(load(options), sampleSchema());
    return {};
  } catch (const ConfigError &e) {
    return e.problems();
  }
}

} // namespace

TEST_CASE("without a file everything has its default") {
  LoadOptions options;
  options.sets = {"plugins.enabled="};
  const auto config = validate(load(options), sampleSchema());
  CHECK(config->getString("platform", "data_dir") == "/var/lib/matrixos");
  CHECK(config->getString("plugins", "path") == "/usr/lib/matrixos/plugins");
  CHECK(config->getListen("api", "listen").at(0).path == "/var/lib/matrixos/run/api.sock");
  CHECK(config->find("platform", "domain")->origin.toString() == "default");
}

TEST_CASE("file, then drop-ins by name, then variables, then --set; each remembers where it came from") {
  const TempDir dir;
  dir.write("etc/x.ini", "[engine]\nimage = file\ncpus = 1\n");
  auto options = optionsFor(dir, "etc/x.ini");
  const auto origin = [&] {
    return validate(load(options), sampleSchema())->find("engine", "image")->origin.toString();
  };
  CHECK(textOf(options, "engine", "image") == "file");
  CHECK(origin() == "etc/x.ini:2");

  dir.write("etc/conf.d/20-b.xml", "<matrixos>\n<engine>\n<image>twenty</image></engine></matrixos>");
  dir.write("etc/conf.d/10-a.ini", "[engine]\nimage = ten\n");
  CHECK(textOf(options, "engine", "image") == "twenty");
  CHECK(origin() == "etc/conf.d/20-b.xml:3");
  CHECK(textOf(options, "engine", "cpus") == "1");

  options.environment = {"MATRIXOS_ENGINE_IMAGE=variable", "HOME=/root", "ODD"};
  CHECK(textOf(options, "engine", "image") == "variable");
  CHECK(origin() == "MATRIXOS_ENGINE_IMAGE");

  options.sets.insert(options.sets.end(), {"engine.image=first", "engine.image=a=b.c"});
  CHECK(textOf(options, "engine", "image") == "a=b.c");
  CHECK(origin() == "--set");
}

TEST_CASE("conf.d takes .ini and .xml, and leaves everything else alone") {
  const TempDir dir;
  dir.write("x.ini", "[engine]\nimage = good\n");
  for (const char *name : {"conf.d/.hidden.ini", "conf.d/a.ini.dpkg-old", "conf.d/README", "conf.d/b.ini~"}) {
    dir.write(name, "nonsense\n");
  }
  const auto options = optionsFor(dir, "x.ini");
  CHECK(textOf(options, "engine", "image") == "good");
  CHECK(load(options).files == std::vector<std::string>{"x.ini"});
  dir.write("conf.d/z.ini", "nonsense\n");
  CHECK(
      problemsOf(options) ==
      std::vector<std::string>{R"(conf.d/z.ini:1: cannot read "nonsense"; write key = value, [section] or ; comment)"});
}

TEST_CASE("a section may stand in several files") {
  const TempDir dir;
  dir.write("x.ini", "[engine]\ncpus = 1\n");
  dir.write("conf.d/a.ini", "[engine]\nimage = a\n");
  CHECK(problemsOf(optionsFor(dir, "x.ini")).empty());
}

TEST_CASE("the format goes by the ending, and without one by the first character") {
  const TempDir dir;
  dir.write("plain", "\n[engine]\nimage = ini\n");
  dir.write("angled", "\n<matrixos><engine><image>xml</image></engine></matrixos>");
  CHECK(textOf(optionsFor(dir, "plain"), "engine", "image") == "ini");
  CHECK(textOf(optionsFor(dir, "angled"), "engine", "image") == "xml");
}

TEST_CASE("INI reading: comments, blanks, quotes, CR LF, a byte order mark, nothing interpolated") {
  const auto config =
      configOf("\xEF\xBB\xBF; comment\r\n  # comment\r\n\r\n[engine]\r\n  image  =  \"  ${HOME} ; # x \"  \r\n"
               "restart='always'\r\n[ edge ]\r\ntrusted = a , b");
  CHECK(config->getString("engine", "image") == "  ${HOME} ; # x ");
  CHECK(config->getString("engine", "restart") == "always");
  CHECK(config->getList("edge", "trusted") == std::vector<std::string>{"a", "b"});
}

TEST_CASE("XML reading: comments, CDATA, entities, blanks and line ends") {
  const auto config = configOf("<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- c --><matrixos><!-- c --><engine>"
                               "<image> &lt;a&gt;&amp;<![CDATA[<b>]]>&#x21; </image><restart/></engine>"
                               "<edge><trusted>\n  a,\n  b\n</trusted></edge></matrixos>",
                               {"engine.restart=no"});
  CHECK(config->getString("engine", "image") == "<a>&<b>!");
  CHECK(config->getList("edge", "trusted") == std::vector<std::string>{"a", "b"});
}

TEST_CASE("what --set and variables get wrong is named") {
  using Problems = std::vector<std::string>;
  CHECK(test::problemsOf("", {"engine"}) ==
        Problems{R"(--set: "engine" is no assignment; write --set section.key=value)"});
  CHECK(test::problemsOf("", {"engine=a.b"}) ==
        Problems{R"(--set: "engine" is no assignment; write --set section.key=value)"});
  CHECK(test::problemsOf("", {".k=v"}) == Problems{R"(--set: ".k" is no assignment; write --set section.key=value)"});
  CHECK(test::problemsOf("", {"engine.imgae=x"}) ==
        Problems{R"(--set: unknown key "imgae" in [engine]; did you mean "image"?)"});
  CHECK(test::problemsOf("", {"engin.image=x"}) == Problems{"--set: unknown section [engin]; did you mean [engine]?"});
  CHECK(test::problemsOf("", {"engine.cpus=x"}) ==
        Problems{R"(--set: [engine] cpus: "x" is not a number; write one like 0.5, from 0.05 to 64)"});
  CHECK(test::problemsOf("", {}, {"MATRIXOS_ENGINE_CPUS=x"}) ==
        Problems{R"(MATRIXOS_ENGINE_CPUS: [engine] cpus: "x" is not a number; write one like 0.5, from 0.05 to 64)"});
  CHECK(test::problemsOf("", {"engine.image=\xff"}) ==
        Problems{R"(--set: the value of "engine.image" holds invalid UTF-8; write plain UTF-8 text)"});
  CHECK(test::problemsOf("", {}, {"MATRIXOS_ENGINE_IMAGE=a\nb"}) ==
        Problems{"MATRIXOS_ENGINE_IMAGE: the value holds a control character; write plain UTF-8 text"});
}

TEST_CASE("a bad value that a later source replaces is no problem") {
  CHECK(test::problemsOf("[engine]\ncpus = x\n", {"engine.cpus=1"}).empty());
}

TEST_CASE("a variable that no key listens to is a warning, unless it is reserved") {
  const auto config = configOf("", {}, {"MATRIXOS_EDGE_LISTNE=x", "MATRIXOS_FAILPOINT=stop:1", "MATRIXOS_TEST_X=1"});
  CHECK(config->warnings() ==
        std::vector<std::string>{"the variable MATRIXOS_EDGE_LISTNE is no configuration key and is "
                                 "ignored; did you mean MATRIXOS_EDGE_LISTEN?"});
}

TEST_CASE("a variable that fits two keys is refused") {
  const mos_config_key one[] = {{"b_c", "string", "", nullptr, nullptr, 0, 0}};
  const mos_config_key two[] = {{"c", "string", "", nullptr, nullptr, 0, 0}};
  Schema schema;
  schema.addPlugin("a", "", one);
  schema.addPlugin("a-b", "", two);
  LoadOptions options;
  options.environment = {"MATRIXOS_A_B_C=x"};
  CHECK_THROWS_WITH_AS(validate(load(options), schema),
                       "MATRIXOS_A_B_C: fits [a] b_c and [a-b] c; set them in a file or with --set", ConfigError);
  options.environment.clear();
  CHECK_NOTHROW(validate(load(options), schema));
}

TEST_CASE("relative paths start at their file, and otherwise at the working directory") {
  const TempDir dir;
  const std::string root = dir.path().string();
  dir.write("etc/x.ini", "[platform]\ndata_dir = ../data\n[edge]\nlisten = unix:run/edge.sock\n");
  dir.write("etc/conf.d/a.ini", "[platform]\nsecret_file = key\n");
  auto options = optionsFor(dir, "etc/x.ini");
  options.sets.emplace_back("storage.path=db/x.db");
  const auto config = validate(load(options), sampleSchema());
  CHECK(config->getString("platform", "data_dir") == root + "/data");
  CHECK(config->getString("platform", "secret_file") == root + "/etc/conf.d/key");
  CHECK(config->getString("storage", "path") == root + "/db/x.db");
  CHECK(config->getString("engine", "users_dir") == root + "/data/users");
  CHECK(config->getString("edge", "listen") == "unix:" + root + "/etc/run/edge.sock");
  CHECK(config->getListen("api", "admin").at(0).path == root + "/data/run/admin.sock");
}

TEST_CASE("<data_dir> follows the value from any source, in any text") {
  const auto config = configOf("[engine]\nimage = <data_dir>/<data_dir>\n", {"platform.data_dir=/srv/m"});
  CHECK(config->getString("engine", "image") == "/srv/m//srv/m");
  CHECK(config->getString("storage", "path") == "/srv/m/matrixos.db");
}

TEST_CASE("a unix socket's whole path has to fit the kernel's limit") {
  const std::string deep = "/" + std::string(120, 'd');
  const auto problems = test::problemsOf("", {"platform.data_dir=" + deep});
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].find("[api] listen: \"unix:/ddd") == 0);
  CHECK(problems[0].find("is too long; the kernel takes socket paths of up to 107 bytes") != std::string::npos);
}

TEST_CASE("a secret can be kept in a file") {
  const TempDir dir;
  const auto secret = dir.write("etc/token", "s3cret\n");
  dir.write("etc/x.ini", "[engine]\ntoken_file = token\n");
  auto options = optionsFor(dir, "etc/x.ini");
  const auto config = validate(load(options), sampleSchema());
  CHECK(config->getString("engine", "token") == "s3cret");
  CHECK(config->find("engine", "token")->secretFile == secret.string());
  CHECK(config->dump().find("s3cret") == std::string::npos);

  options.environment = {"MATRIXOS_ENGINE_TOKEN_FILE=" + secret.string()};
  dir.write("etc/x.ini", "");
  CHECK(textOf(options, "engine", "token") == "s3cret");
}

TEST_CASE("a secret's file that cannot be trusted or read is refused") {
  using Problems = std::vector<std::string>;
  const TempDir dir;
  dir.write("x.ini", "[engine]\ntoken_file = token\n");
  const auto options = optionsFor(dir, "x.ini");
  const std::string start = "x.ini:2: [engine] token_file: \"" + (dir.path() / "token").string() + "\" ";
  CHECK(problemsOf(options) == Problems{start + "cannot be opened: No such file or directory"});
  const auto secret = dir.write("token", "s3cret\n");
  for (const mode_t open : {0644, 0602, 0620}) {
    ::chmod(secret.c_str(), open);
    CHECK(problemsOf(options) == Problems{start + "is open to other users; run: chmod 600 " + secret.string()});
  }
  ::chmod(secret.c_str(), 0640);
  CHECK(problemsOf(options).empty());
  if (::geteuid() == 0) {
    constexpr uid_t kStranger = 54321;
    REQUIRE(::chown(secret.c_str(), kStranger, static_cast<gid_t>(-1)) == 0);
    CHECK(problemsOf(options) ==
          Problems{start + "is owned by uid 54321 with mode 0640, who could change it; run: chown root " +
                   secret.string()});
    // The daemon will run as the owner of its data directory.
    const auto data = dir.path() / "data";
    std::filesystem::create_directory(data);
    REQUIRE(::chown(data.c_str(), kStranger, static_cast<gid_t>(-1)) == 0);
    auto asStranger = options;
    asStranger.sets.push_back("platform.data_dir=" + data.string());
    CHECK(problemsOf(asStranger).empty());
    REQUIRE(::chown(secret.c_str(), 0, static_cast<gid_t>(-1)) == 0);
  }
  dir.write("token", "\n");
  CHECK(problemsOf(options) == Problems{start + "is empty; it has to hold the secret"});
  dir.write("token", std::string(65 * 1024, 'x'));
  CHECK(problemsOf(options) == Problems{start + "is larger than 64KB"});
  std::filesystem::remove(secret);
  std::filesystem::create_directory(secret);
  CHECK(problemsOf(options) == Problems{start + "is a directory; a file is expected"});
}

TEST_CASE("a secret set twice is refused, whatever set it") {
  const TempDir dir;
  dir.write("token", "a");
  dir.write("x.ini", "[engine]\ntoken = hunter2\ntoken_file = token\n");
  CHECK(problemsOf(optionsFor(dir, "x.ini")) ==
        std::vector<std::string>{
            "x.ini:3: [engine] token_file: the secret is set twice, here and by token (x.ini:2); keep one of them"});
}

TEST_CASE("a required key has to be set, but only for an enabled plugin") {
  using Problems = std::vector<std::string>;
  CHECK(test::problemsOf("").empty());
  CHECK(test::problemsOf("\n[signup]\nqueue = 5\n", {"plugins.enabled=signup"}) ==
        Problems{"x.ini:2: [signup] secret: has to be set, or secret_file: Key of the webhook's signature."});
  CHECK(test::problemsOf("", {"plugins.enabled=signup"}) ==
        Problems{"x.ini: [signup] secret: has to be set, or secret_file: Key of the webhook's signature."});
  CHECK(test::problemsOf("[signup]\nsecret = x\n", {"plugins.enabled=signup"}).empty());
  // Set, but unreadable: one problem, not two.
  CHECK(test::problemsOf("[signup]\nsecret_file = /nowhere\n", {"plugins.enabled=signup"}) ==
        Problems{R"(x.ini:2: [signup] secret_file: "/nowhere" cannot be opened: No such file or directory)"});
}

TEST_CASE("a plugin that cannot say what its keys are is accepted with a warning") {
  Schema schema = coreSchema();
  schema.addUncheckedPlugin("lost", "lost.so is missing");
  LoadOptions options;
  options.sets = {"plugins.enabled=lost", "lost.anything=1"};
  options.environment = {"MATRIXOS_LOST_KEY=1"};
  const auto config = validate(load(options), schema);
  CHECK(config->warnings() == std::vector<std::string>{"[lost] is not checked: lost.so is missing"});
  CHECK(config->find("lost", "anything") == nullptr);
}

TEST_CASE("the preview ignores what it does not know and falls back to defaults") {
  const TempDir dir;
  dir.write("x.ini", "nonsense\n[plugins]\nenabled = a, b\nstart_timeout = soon\n[later]\nk = v\n");
  auto options = optionsFor(dir, "x.ini");
  options.sets.clear();
  const auto raw = load(options);
  const auto config = preview(raw, coreSchema());
  CHECK(config->enabledPlugins() == std::vector<std::string>{"a", "b"});
  CHECK(config->getDuration("plugins", "start_timeout") == std::chrono::seconds(30));
  CHECK_THROWS_AS(validate(raw, coreSchema()), ConfigError);
}
