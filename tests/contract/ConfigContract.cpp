// The configuration: defaults, the two formats, where values may come from, and what is said of mistakes. No engine.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <csignal>
#include <map>
#include <sstream>

using namespace matrixos::test;

namespace {

const std::filesystem::path kEtc = ETC_DIR;

std::string program(const char *name) {
  return (buildDir() / "bin" / name).string();
}

/// The values in force, by "section.key", as a daemon that runs on `file` reports them. It runs without plugins, but
/// knows those that the file has a section of.
std::map<std::string, std::string> effective(const TempDir &dir, const std::filesystem::path &file,
                                             const std::vector<std::string> &environment = {},
                                             const std::vector<std::string> &sets = {}) {
  std::vector<std::string> command{program("matrixosd"), "--config=" + file.string(),
                                   "--set=platform.data_dir=" + (dir / "data").string(), "--set=plugins.enabled="};
  for (const std::string &set : sets)
    command.push_back("--set=" + set);
  Process daemon(command, dir / "log", environment);
  const std::filesystem::path socket = dir / "data/run/admin.sock";
  const bool serves = eventually([&] {
    try {
      return request(socket, "GET", "/health").status == 200;
    } catch (const std::exception &) {
      return !daemon.running();
    }
  });
  REQUIRE_MESSAGE((serves && daemon.running()), readFile(dir / "log"));
  const Finished shown = run({program("matrixosctl"), "--api=unix:" + socket.string(), "config", "show"});
  REQUIRE(shown.status == 0);
  daemon.signal(SIGTERM);
  CHECK(daemon.wait(std::chrono::seconds{60}).value_or(-1) == 0);

  std::map<std::string, std::string> values;
  std::string section;
  std::istringstream lines(shown.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == ';') continue;
    if (line[0] == '[') {
      section = line.substr(1, line.size() - 2);
      continue;
    }
    const std::size_t equals = line.find(" =");
    values[section + "." + line.substr(0, equals)] = equals + 3 <= line.size() ? line.substr(equals + 3) : "";
  }
  return values;
}

struct Broken {
  std::string what;
  std::string text;
  std::string message; ///< exactly
};

void expectRefused(const Broken &broken, const std::string &file) {
  CAPTURE(broken.what);
  const TempDir dir;
  writeFile(dir / file, broken.text);
  const Finished checked = run({"env", "-C", dir.path().string(), program("matrixosd"), "--config=" + file, "--check"});
  CHECK(checked.status == 78);
  std::string message = broken.message;
  if (const std::size_t at = message.find("@PLUGINS@"); at != std::string::npos)
    message.replace(at, 9, (buildDir() / "plugins").string());
  CHECK(checked.out == message + "\nmatrixosd: the configuration has 1 problem; nothing was started\n");
}

} // namespace

TEST_CASE("the defaults are those of the documentation") {
  const TempDir dir;
  const std::string data = (dir / "data").string();
  const auto values = effective(dir, kEtc / "matrixosd.ini");
  const std::map<std::string, std::string> wanted{{"platform.domain", "matrix-os.com"},
                                                  {"platform.secret_file", ""},
                                                  {"api.listen", "unix:" + data + "/run/api.sock"},
                                                  {"api.admin", "unix:" + data + "/run/admin.sock"},
                                                  {"api.auth", "secret"},
                                                  {"plugins.required", ""},
                                                  {"orchestrator.runtime", "docker"},
                                                  {"orchestrator.image", "ghcr.io/hamedmp/matrix-os:latest"},
                                                  {"orchestrator.network", "matrixos-net"},
                                                  {"orchestrator.memory", "256MB"},
                                                  {"orchestrator.cpus", "0.5"},
                                                  {"orchestrator.gateway_base_port", "4001"},
                                                  {"orchestrator.shell_base_port", "3001"},
                                                  {"orchestrator.ports_per_range", "1000"},
                                                  {"orchestrator.users_dir", "/data/users"},
                                                  {"orchestrator.proxy_url", "http://proxy:8080"},
                                                  {"orchestrator.restart", "unless-stopped"},
                                                  {"social.proxy_url", ""},
                                                  {"lifecycle.check_interval", "5m"},
                                                  {"lifecycle.idle_timeout", "30m"},
                                                  {"proxy.listen", "127.0.0.1:9000"},
                                                  {"runtime-docker.endpoint", "unix:/var/run/docker.sock"}};
  for (const auto &entry : wanted) {
    CAPTURE(entry.first);
    REQUIRE(values.count(entry.first) == 1);
    CHECK(values.at(entry.first) == entry.second);
  }
  // What this daemon was told otherwise.
  const std::string file = readFile(kEtc / "matrixosd.ini");
  CHECK(file.find("\ndata_dir = /var/lib/matrixos\n") != std::string::npos);
  CHECK(file.find("\nenabled = runtime-docker, orchestrator, lifecycle, social, proxy\n") != std::string::npos);
  // Beside the program, since there is a folder of plugins.
  CHECK(values.at("plugins.path") == (buildDir() / "plugins").string());
}

TEST_CASE("without a value, the written defaults hold") {
  const TempDir dir;
  // The same sections, since one that is not enabled is read for the sake of its section.
  std::istringstream etc(readFile(kEtc / "matrixosd.ini"));
  std::string sections;
  for (std::string line; std::getline(etc, line);) {
    if (line.rfind('[', 0) == 0 && line != "[platform]" && line != "[api]" && line != "[plugins]" && line != "[log]" &&
        line != "[storage]") {
      sections += line + "\n";
    }
  }
  writeFile(dir / "x.ini", sections);
  CHECK(effective(dir, dir / "x.ini") == effective(dir, kEtc / "matrixosd.ini"));
}

TEST_CASE("INI and XML say the same") {
  const TempDir dir;
  CHECK(effective(dir, kEtc / "matrixosd.ini") == effective(dir, kEtc / "matrixosd.xml"));
  writeFile(dir / "a.ini", "; a comment\n[platform]\ndomain = \"example.org\"\n\n[lifecycle]\nidle_timeout=90m\n"
                           "[orchestrator]\nmemory = 1GB\nproxy_url = http://a/?b=c&d\n");
  writeFile(dir / "a.xml", "<matrixos>\n<platform><domain>example.org</domain></platform>\n"
                           "<lifecycle><idle_timeout> 90m </idle_timeout></lifecycle>\n<!-- a comment -->\n"
                           "<orchestrator><memory>1GB</memory><proxy_url>http://a/?b=c&amp;d</proxy_url></orchestrator>"
                           "\n</matrixos>\n");
  const auto ini = effective(dir, dir / "a.ini");
  CHECK(ini.at("platform.domain") == "example.org");
  CHECK(ini.at("orchestrator.proxy_url") == "http://a/?b=c&d");
  CHECK(ini == effective(dir, dir / "a.xml"));
}

TEST_CASE("units mean what they say") {
  const TempDir dir;
  writeFile(dir / "x.ini", "[orchestrator]\nmemory = 268435456\npull_timeout = 600s\nstop_grace = 0.5m\n"
                           "create_timeout = 1500ms\n[lifecycle]\nidle_timeout = 1.5h\ncheck_interval=60s\n"
                           "[social]\nmax_response = 1MB\n[runtime-docker]\nmax_reply = 65536KB\nlog_max_size=0.5GB\n"
                           "cap_add = CHOWN,SETUID ,  SETGID\n[proxy]\naccess_log = off\n");
  const auto values = effective(dir, dir / "x.ini");
  for (const auto &entry : std::map<std::string, std::string>{{"orchestrator.memory", "256MB"},
                                                              {"orchestrator.pull_timeout", "10m"},
                                                              {"orchestrator.stop_grace", "30s"},
                                                              {"orchestrator.create_timeout", "1500ms"},
                                                              {"lifecycle.idle_timeout", "90m"},
                                                              {"lifecycle.check_interval", "1m"},
                                                              {"social.max_response", "1MB"},
                                                              {"runtime-docker.max_reply", "64MB"},
                                                              {"runtime-docker.log_max_size", "512MB"},
                                                              {"runtime-docker.cap_add", "CHOWN, SETUID, SETGID"},
                                                              {"proxy.access_log", "false"}}) {
    CAPTURE(entry.first);
    CHECK(values.at(entry.first) == entry.second);
  }
}

TEST_CASE("file, drop-ins, environment, command line: the later wins") {
  const TempDir dir;
  writeFile(dir / "x.ini", "[platform]\ndomain = file.example\n[lifecycle]\nidle_timeout = 1m\ncheck_interval = 1m\n"
                           "max_waiters = 1\nready_timeout = 1s\n[runtime-docker]\nauth_file = /a/file\n");
  writeFile(dir / "conf.d/10-a.ini", "[lifecycle]\nidle_timeout = 2m\ncheck_interval = 2m\nmax_waiters = 2\n");
  writeFile(dir / "conf.d/20-b.xml", "<matrixos><lifecycle><idle_timeout>3m</idle_timeout>"
                                     "<check_interval>3m</check_interval></lifecycle></matrixos>");
  writeFile(dir / "conf.d/30-c.ini.dpkg-old", "[lifecycle]\nidle_timeout = 9m\n");
  const auto values = effective(dir, dir / "x.ini",
                                {"MATRIXOS_LIFECYCLE_IDLE_TIMEOUT=4m", "MATRIXOS_LIFECYCLE_CHECK_INTERVAL=4m",
                                 "MATRIXOS_RUNTIME_DOCKER_AUTH_FILE=/a/variable"},
                                {"lifecycle.idle_timeout=5m"});
  CHECK(values.at("platform.domain") == "file.example");
  CHECK(values.at("lifecycle.ready_timeout") == "1s");
  CHECK(values.at("lifecycle.max_waiters") == "2");
  CHECK(values.at("lifecycle.check_interval") == "4m");
  CHECK(values.at("lifecycle.idle_timeout") == "5m");
  CHECK(values.at("runtime-docker.auth_file") == "/a/variable");
}

TEST_CASE("a mistake is one exact sentence, and 78") {
  const std::vector<Broken> ini{
      {"a mistyped key", "[orchestrator]\nimgae = x\n",
       R"(x.ini:2: unknown key "imgae" in [orchestrator]; did you mean "image"?)"},
      {"a key of another section", "[orchestrator]\nidle_timeout = 30m\n",
       R"(x.ini:2: unknown key "idle_timeout" in [orchestrator]; [api] has a key of that name)"},
      {"a mistyped section", "[lifecylce]\nidle_timeout = 30m\n",
       "x.ini:1: unknown section [lifecylce]; did you mean [lifecycle]?"},
      {"a section nobody knows", "[weather]\ncity = x\n",
       "x.ini:1: unknown section [weather]; neither the core nor an installed plugin has that name"},
      {"a section twice", "[proxy]\n[social]\n[proxy]\n",
       "x.ini:3: section [proxy] stands here again; it began in line 1"},
      {"a key twice", "[proxy]\nloops = 1\nloops = 2\n",
       R"(x.ini:3: key "loops" stands in [proxy] again; it was set in line 2)"},
      {"no section", "domain = x\n", R"(x.ini:1: key "domain" stands before the first [section])"},
      {"no equals sign", "[platform]\ndomain\n",
       R"(x.ini:2: cannot read "domain"; write key = value, [section] or ; comment)"},
      {"a comment behind a section", "[proxy] ; here\n",
       R"(x.ini:1: malformed section "[proxy] ; here"; write [name] and nothing behind it)"},
      {"a comment behind a value", "[lifecycle]\nidle_timeout = 30m ; long\n",
       R"(x.ini:2: [lifecycle] idle_timeout: "30m ; long" is not a duration; write a number with ms, s, m, h or d, like 30m, from 0ms to 8760h; a comment needs a line of its own)"},
      {"a comment behind a text", "[platform]\ndomain = example.org ; ours\n",
       R"(x.ini:2: [platform] domain: "example.org ; ours" has a comment in it; a comment needs a line of its own, and a value that is meant so needs quotes)"},
      {"a comment behind a path", "[platform]\ndata_dir = /srv/x # fast disk\n",
       R"(x.ini:2: [platform] data_dir: "/srv/x # fast disk" has a comment in it; a comment needs a line of its own, and a value that is meant so needs quotes)"},
      {"a domain with a scheme", "[platform]\ndomain = https://example.org\n",
       R"(x.ini:2: [platform] domain: "https://example.org" is no bare domain: it names a scheme; write one like example.org)"},
      {"a domain with a port", "[platform]\ndomain = example.org:8080\n",
       R"(x.ini:2: [platform] domain: "example.org:8080" is no bare domain: it names a port; write one like example.org)"},
      {"a domain with a wildcard", "[platform]\ndomain = *.example.org\n",
       R"(x.ini:2: [platform] domain: "*.example.org" is no bare domain: wildcards are not needed, instances get names below it; write one like example.org)"},
      {"a domain beyond ASCII", "[platform]\ndomain = bücher.test\n",
       R"(x.ini:2: [platform] domain: "bücher.test" is no bare domain: letters beyond ASCII travel in their xn-- form (idn2 NAME prints it); write one like example.org)"},
      {"a domain with a blank", "[platform]\ndomain = my site\n",
       R"(x.ini:2: [platform] domain: "my site" is no bare domain: it is no host name; write one like example.org)"},
      {"a URL of another scheme", "[social]\nproxy_url = https://example.org\n",
       R"(x.ini:2: [social] proxy_url: "https://example.org" is no URL here: its scheme is not http; write one like http://example.org)"},
      {"a URL with a password", "[social]\nproxy_url = http://a:b@example.org\n",
       R"(x.ini:2: [social] proxy_url: the value is no URL here: it holds a user name or a password; write one like http://example.org)"},
      {"no domain", "[platform]\ndomain =\n",
       R"(x.ini:2: [platform] domain: "" is no bare domain: it is no host name; write one like example.org)"},
      {"a misspelt plugin", "[plugins]\nenabled = runtime-docker, orchestrator, proxi\nrequired =\n",
       R"(x.ini:2: [plugins] enabled: "proxi" cannot be loaded: there is no plugin "proxi" in @PLUGINS@ (there are: ai-gateway, audit, identity, lifecycle, orchestrator, proxy, runtime-docker, runtime-process, runtime-simulated, signup, social); check [plugins] path and enabled)"},
      {"a plugin without what it needs", "[plugins]\nenabled = lifecycle\nrequired =\n",
       R"(x.ini:2: [plugins] enabled: "lifecycle" cannot start: it needs matrixos.orchestrator/1, which no enabled plugin provides)"},
      {"a plugin that cannot be isolated", "[plugins]\nenabled = social\n[social]\nisolation = process\n",
       R"(x.ini:2: [plugins] enabled: "social" cannot be loaded: [social] isolation=process is not possible: it needs matrixos.orchestrator/1, whose watch() takes what cannot leave a process (parameters UWt); take the key out)"},
      {"a secret that is not there", "[platform]\nsecret_file = /nowhere/secret\n",
       R"(x.ini:2: [platform] secret_file: cannot open the secret file /nowhere/secret: No such file or directory)"},
      {"a duration without a unit", "[lifecycle]\nidle_timeout = 30\n",
       R"(x.ini:2: [lifecycle] idle_timeout: "30" is not a duration; write a number with ms, s, m, h or d, like 30m, from 0ms to 8760h)"},
      {"a duration out of range", "[proxy]\nconnect_timeout = 1ms\n",
       R"(x.ini:2: [proxy] connect_timeout: "1ms" is out of range; it has to be from 50ms to 1m)"},
      {"a size in another dialect", "[orchestrator]\nmemory = 256M\n",
       R"(x.ini:2: [orchestrator] memory: "256M" is not a size; write a number of bytes, or one with KB, MB or GB, like 256MB, at least 16MB)"},
      {"a size out of range", "[orchestrator]\nmemory = 256\n",
       R"(x.ini:2: [orchestrator] memory: "256" is out of range; it has to be at least 16MB)"},
      {"a number with a comma", "[orchestrator]\ncpus = 0,5\n",
       R"(x.ini:2: [orchestrator] cpus: "0,5" is not a number; write one like 0.5, from 0.01 to 1024)"},
      {"a whole number that is none", "[orchestrator]\ngateway_base_port = http\n",
       R"(x.ini:2: [orchestrator] gateway_base_port: "http" is not a whole number; write one like 4001, from 1 to 65535)"},
      {"a port out of range", "[orchestrator]\nshell_base_port = 70000\n",
       R"(x.ini:2: [orchestrator] shell_base_port: "70000" is out of range; it has to be from 1 to 65535)"},
      {"a choice that is none", "[orchestrator]\nrestart = sometimes\n",
       R"(x.ini:2: [orchestrator] restart: "sometimes" is not a choice here; write no, always, unless-stopped or on-failure)"},
      {"a switch that is none", "[proxy]\naccess_log = maybe\n",
       R"(x.ini:2: [proxy] access_log: "maybe" is not a switch; write true or false)"},
      {"a list with a hole", "[plugins]\nenabled = proxy,,social\n",
       R"(x.ini:2: [plugins] enabled: "proxy,,social" is not a list; write words with one comma between them, like runtime-docker, orchestrator, lifecycle, social, proxy)"},
      {"a listener without an address", "[proxy]\nlisten = :9000\n",
       R"(x.ini:2: [proxy] listen: ":9000" names no address; write 0.0.0.0:9000 if every network may connect, 127.0.0.1:9000 if not)"},
      {"a listener with a name", "[proxy]\nlisten = example.com:9000\n",
       R"(x.ini:2: [proxy] listen: "example.com:9000" is not an address to listen on; write a numeric one, like 127.0.0.1:9000 or [::1]:9000)"},
      {"an API that faces the world", "[api]\nlisten = 0.0.0.0:8000\n",
       R"(x.ini:2: [api] listen: "0.0.0.0:8000" faces other machines; write unix:/path or 127.0.0.1, and let a plugin's listener face the world)"},
      {"an admin socket that is none", "[api]\nadmin = 127.0.0.1:8000\n",
       R"(x.ini:2: [api] admin: "127.0.0.1:8000" is not one unix socket; write one like unix:<data_dir>/run/admin.sock)"},
      {"an open API behind an open proxy", "[api]\nauth = none\n[proxy]\nlisten = 0.0.0.0:9000\n",
       R"(x.ini:2: [api] auth: "none" is refused, because [proxy] listen (x.ini:4) is 0.0.0.0:9000, which other machines can reach; write auth = secret, or listen on 127.0.0.1)"},
      {"two listeners on one port", "[proxy]\nlisten = 127.0.0.1:9000, 0.0.0.0:9000\n",
       R"(x.ini:2: [proxy] listen: "0.0.0.0:9000" collides with 127.0.0.1:9000 of [proxy] listen (x.ini:2); give one of them another port or path)"},
      {"two ranges of ports that begin together", "[orchestrator]\ngateway_base_port = 3001\n",
       R"(x.ini:2: [orchestrator] gateway_base_port: "3001" is the port of [orchestrator] shell_base_port, too; give one of them another)"},
      {"an image that is none", "[orchestrator]\nimage = https://ghcr.io/hamedmp/matrix-os\n",
       R"(x.ini:2: [orchestrator] image: "https://ghcr.io/hamedmp/matrix-os" names no image; write one like ghcr.io/hamedmp/matrix-os:latest)"},
      {"TLS without a certificate", "[proxy]\ntls_listen = 127.0.0.1:9443\n",
       R"(x.ini:2: [proxy] tls_listen: needs tls_certificate and tls_key)"},
      {"TLS with a certificate that is not there",
       "[proxy]\ntls_listen = 127.0.0.1:9443\ntls_certificate = /nowhere/a.pem\ntls_key = /nowhere/b.pem\n",
       R"(x.ini:2: [proxy] tls_listen: cannot use /nowhere/a.pem for TLS: No such file or directory)"},
      {"a plugin twice", "[plugins]\nenabled = social, social\n",
       R"(x.ini:2: [plugins] enabled: "social" is named twice)"},
      {"a section of the core as a plugin", "[plugins]\nenabled = api\n",
       R"(x.ini:2: [plugins] enabled: "api" is a section of the core, not a plugin)"},
      {"required, but not enabled", "[plugins]\nenabled = social\nrequired = proxy\n",
       R"(x.ini:3: [plugins] required: "proxy" is not in plugins.enabled; add it there or remove it here)"},
      {"an empty data directory", "[platform]\ndata_dir =\n",
       R"(x.ini:2: [platform] data_dir: "" is not a directory; write one like /var/lib/matrixos)"}};
  for (const Broken &broken : ini)
    expectRefused(broken, "x.ini");
}

TEST_CASE("the same mistakes in XML are the same sentences") {
  const std::vector<Broken> xml{
      {"a mistyped key", "<matrixos>\n<orchestrator>\n<imgae>x</imgae>\n</orchestrator>\n</matrixos>\n",
       R"(x.xml:3: unknown key "imgae" in [orchestrator]; did you mean "image"?)"},
      {"a mistyped section", "<matrixos>\n<lifecylce/>\n</matrixos>\n",
       "x.xml:2: unknown section [lifecylce]; did you mean [lifecycle]?"},
      {"a section twice", "<matrixos>\n<proxy/>\n<proxy/>\n</matrixos>",
       "x.xml:3: section [proxy] stands here again; it began in line 2"},
      {"a size in another dialect", "<matrixos><orchestrator>\n<memory>256M</memory></orchestrator></matrixos>",
       R"(x.xml:2: [orchestrator] memory: "256M" is not a size; write a number of bytes, or one with KB, MB or GB, like 256MB, at least 16MB)"},
      {"an attribute", "<matrixos>\n<proxy listen=\"x\"/>\n</matrixos>",
       R"(x.xml:2: <proxy> has the attribute "listen"; there are no attributes, write <matrixos><section><key>value</key></section></matrixos>)"},
      {"another document", "<config/>",
       "x.xml:1: the document is <config>; write <matrixos><section><key>value</key></section></matrixos>"},
      {"an entity bomb's beginning", "<!DOCTYPE matrixos [\n<!ENTITY a \"b\">]>\n<matrixos/>",
       "x.xml:1: document types and entities are refused; remove <!DOCTYPE …>"}};
  for (const Broken &broken : xml)
    expectRefused(broken, "x.xml");
}

TEST_CASE("all mistakes at once, in order") {
  const TempDir dir;
  writeFile(dir / "x.ini", "[proxy]\nlisten\nloops = many\n[orchestrator]\nimgae = x\n");
  const Finished checked = run({"env", "-C", dir.path().string(), program("matrixosd"), "--config=x.ini", "--check"});
  CHECK(checked.status == 78);
  CHECK(checked.out == "x.ini:2: cannot read \"listen\"; write key = value, [section] or ; comment\n"
                       "x.ini:3: [proxy] loops: \"many\" is not a whole number; write one like 0, from 0 to 64\n"
                       "x.ini:5: unknown key \"imgae\" in [orchestrator]; did you mean \"image\"?\n"
                       "matrixosd: the configuration has 3 problems; nothing was started\n");
}
