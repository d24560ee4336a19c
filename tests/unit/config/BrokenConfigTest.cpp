#include "unit/config/Fixture.h"

#include <doctest/doctest.h>

using namespace matrixos::config;
using namespace matrixos::config::test;

namespace {

struct Broken {
  const char *what;
  const char *text;
  /// Exactly these, in this order.
  std::vector<std::string> problems;
};

const Broken kIni[] = {
    {"a mistyped key", "[engine]\nimgae = x\n", {R"(x.ini:2: unknown key "imgae" in [engine]; did you mean "image"?)"}},
    {"a key far from every other", "[engine]\nzzzzzz = x\n", {R"(x.ini:2: unknown key "zzzzzz" in [engine])"}},
    {"a key of another section",
     "[edge]\nidle_timeout = 5m\n",
     {R"(x.ini:2: unknown key "idle_timeout" in [edge]; [api] has a key of that name)"}},
    {"a mistyped section", "\n[egde]\nlisten = x\n", {"x.ini:2: unknown section [egde]; did you mean [edge]?"}},
    {"a section nobody knows",
     "[weather]\ncity = x\n",
     {"x.ini:1: unknown section [weather]; neither the core nor an installed plugin has that name"}},
    {"a duration in words",
     "[engine]\nidle_timeout = 30 minutes\n",
     {R"(x.ini:2: [engine] idle_timeout: "30 minutes" is not a duration; write a number with ms, s, m, h or d, like 30m, from 1m to 24h)"}},
    {"a duration without a unit",
     "[plugins]\nstop_timeout = 30\n",
     {R"(x.ini:2: [plugins] stop_timeout: "30" is not a duration; write a number with ms, s, m, h or d, like 30s, from 100ms to 1h)"}},
    {"a duration that is too short",
     "[engine]\nidle_timeout = 59s\n",
     {R"(x.ini:2: [engine] idle_timeout: "59s" is out of range; it has to be from 1m to 24h)"}},
    {"a size with a wrong unit",
     "[engine]\nmemory = 256M\n",
     {R"(x.ini:2: [engine] memory: "256M" is not a size; write a number of bytes, or one with KB, MB or GB, like 256MB, from 16MB to 64GB)"}},
    {"a size that is too small",
     "[engine]\nmemory = 1024\n",
     {R"(x.ini:2: [engine] memory: "1024" is out of range; it has to be from 16MB to 64GB)"}},
    {"a number with a comma",
     "[engine]\ncpus = 0,5\n",
     {R"(x.ini:2: [engine] cpus: "0,5" is not a number; write one like 0.5, from 0.05 to 64)"}},
    {"an int that is none",
     "[engine]\nbase_port = 4001.5\n",
     {R"(x.ini:2: [engine] base_port: "4001.5" is not a whole number; write one like 4001, from 1 to 65535)"}},
    {"an int below an open range",
     "[signup]\nqueue = 0\n",
     {R"(x.ini:2: [signup] queue: "0" is out of range; it has to be at least 1)"}},
    {"a switch that is none",
     "[edge]\ntunnel = maybe\n",
     {R"(x.ini:2: [edge] tunnel: "maybe" is not a switch; write true or false)"}},
    {"a choice that is none",
     "[engine]\nrestart = sometimes\n",
     {R"(x.ini:2: [engine] restart: "sometimes" is not a choice here; write no, always, unless-stopped or on-failure)"}},
    {"an inline comment",
     "[log]\nlevel = info ; less noise\n",
     {R"(x.ini:2: [log] level: "info ; less noise" is not a choice here; write debug, info, warning or error; a comment needs a line of its own)"}},
    {"an empty value that may not be empty",
     "[engine]\nmemory =\n",
     {R"(x.ini:2: [engine] memory: "" is not a size; write a number of bytes, or one with KB, MB or GB, like 256MB, from 16MB to 64GB)"}},
    {"a list with a hole",
     "[edge]\ntrusted = a,,b\n",
     {R"(x.ini:2: [edge] trusted: "a,,b" is not a list; write words with one comma between them, like a, b)"}},
    {"a listener with a host name",
     "[edge]\nlisten = example.com:80\n",
     {R"(x.ini:2: [edge] listen: "example.com:80" is not an address to listen on; write a numeric one, like 127.0.0.1:9000 or [::1]:9000)"}},
    {"a listener without an address",
     "[edge]\nlisten = :9000\n",
     {R"(x.ini:2: [edge] listen: ":9000" names no address; write 0.0.0.0:9000 if every network may connect, 127.0.0.1:9000 if not)"}},
    {"a listener with an impossible port",
     "[edge]\nlisten = 127.0.0.1:70000\n",
     {R"(x.ini:2: [edge] listen: "127.0.0.1:70000" has no valid port; a port is a number from 0 (any free one) to 65535)"}},
    {"a line without =",
     "[edge]\nlisten 127.0.0.1:80\n",
     {R"(x.ini:2: cannot read "listen 127.0.0.1:80"; write key = value, [section] or ; comment)"}},
    {"a line without a key",
     "[edge]\n= x\n",
     {R"(x.ini:2: cannot read "= x"; write key = value, [section] or ; comment)"}},
    {"a key before any section", "listen = x\n", {R"(x.ini:1: key "listen" stands before the first [section])"}},
    {"an open section header",
     "[edge\n",
     {R"(x.ini:1: malformed section "[edge"; write [name] and nothing behind it)"}},
    {"a section header with a comment",
     "[edge] ; here\n",
     {R"(x.ini:1: malformed section "[edge] ; here"; write [name] and nothing behind it)"}},
    {"a nameless section", "[ ]\n", {R"(x.ini:1: malformed section "[ ]"; write [name])"}},
    {"a section twice",
     "[edge]\n[engine]\n[edge]\nlisten = 127.0.0.1:1\n",
     {"x.ini:3: section [edge] stands here again; it began in line 1"}},
    {"a key twice",
     "[edge]\nlisten = 127.0.0.1:1\n\nlisten = 127.0.0.1:2\n",
     {R"(x.ini:4: key "listen" stands in [edge] again; it was set in line 2)"}},
    {"several at once, in order",
     "[edge]\nlisten\ntunnel = 2\n[engine]\nimgae = x\n[wat]\n",
     {R"(x.ini:2: cannot read "listen"; write key = value, [section] or ; comment)",
      R"(x.ini:3: [edge] tunnel: "2" is not a switch; write true or false)",
      R"(x.ini:5: unknown key "imgae" in [engine]; did you mean "image"?)",
      "x.ini:6: unknown section [wat]; neither the core nor an installed plugin has that name"}},
    {"a data directory inside itself",
     "[platform]\ndata_dir = <data_dir>/x\n",
     {R"(x.ini:2: [platform] data_dir: "<data_dir>/x" is not a directory; write one like /var/lib/matrixos)"}},
    {"an empty data directory",
     "[platform]\ndata_dir =\n",
     {R"(x.ini:2: [platform] data_dir: "" is not a directory; write one like /var/lib/matrixos)"}},
};

const Broken kXml[] = {
    {"a mistyped key",
     "<matrixos>\n<engine>\n<imgae>x</imgae>\n</engine>\n</matrixos>\n",
     {R"(x.xml:3: unknown key "imgae" in [engine]; did you mean "image"?)"}},
    {"a mistyped section",
     "<matrixos>\n<egde><listen>x</listen></egde>\n</matrixos>",
     {"x.xml:2: unknown section [egde]; did you mean [edge]?"}},
    {"a duration in words",
     "<matrixos><engine>\n<idle_timeout>30 minutes</idle_timeout></engine></matrixos>",
     {R"(x.xml:2: [engine] idle_timeout: "30 minutes" is not a duration; write a number with ms, s, m, h or d, like 30m, from 1m to 24h)"}},
    {"another document",
     "<config>\n<edge/>\n</config>",
     {"x.xml:1: the document is <config>; write <matrixos><section><key>value</key></section></matrixos>"}},
    {"an attribute",
     "<matrixos>\n<edge name=\"a\"/>\n</matrixos>",
     {R"(x.xml:2: <edge> has the attribute "name"; there are no attributes, write <matrixos><section><key>value</key></section></matrixos>)"}},
    {"a value in a value",
     "<matrixos><edge>\n<listen><a>127.0.0.1:1</a></listen></edge></matrixos>",
     {R"(x.xml:2: <a> stands inside the value of "listen"; write <matrixos><section><key>value</key></section></matrixos>)"}},
    {"loose text",
     "<matrixos>\n<edge>\nlisten\n</edge></matrixos>",
     {R"(x.xml:3: the text "listen" stands outside of a key; write <matrixos><section><key>value</key></section></matrixos>)"}},
    {"a section twice",
     "<matrixos>\n<edge/>\n<edge/>\n</matrixos>",
     {"x.xml:3: section [edge] stands here again; it began in line 2"}},
    {"a key twice",
     "<matrixos><edge>\n<tunnel>no</tunnel>\n<tunnel>no</tunnel>\n</edge></matrixos>",
     {R"(x.xml:3: key "tunnel" stands in [edge] again; it was set in line 2)"}},
    {"a tag that does not close", "<matrixos>\n<edge>\n</matrixos>", {"x.xml:3: malformed XML: tag mismatch"}},
    {"half a document", "<matrixos>\n<edge>\n", {"x.xml:3: malformed XML: no element found"}},
    {"a document type",
     "<?xml version=\"1.0\"?>\n<!DOCTYPE matrixos>\n<matrixos/>",
     {"x.xml:2: document types and entities are refused; remove <!DOCTYPE …>"}},
    {"an entity nobody declared",
     "<matrixos><edge>\n<listen>&here;</listen></edge></matrixos>",
     {"x.xml:2: malformed XML: undefined entity"}},
};

void expect(const Broken &broken) {
  CAPTURE(broken.what);
  const std::vector<std::string> problems = problemsOf(broken.text);
  std::string got;
  std::string wanted;
  for (const auto &problem : problems)
    got += problem + "\n";
  for (const auto &problem : broken.problems)
    wanted += problem + "\n";
  CHECK(got == wanted);
}

} // namespace

TEST_CASE("a broken INI file is refused with exactly these sentences") {
  for (const auto &broken : kIni)
    expect(broken);
}

TEST_CASE("a broken XML file is refused with exactly these sentences") {
  for (const auto &broken : kXml)
    expect(broken);
}
