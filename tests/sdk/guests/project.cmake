# Plugins of every kind, as somebody else would build them.
cmake_minimum_required(VERSION 3.16)
project(guests C CXX)
find_package(matrixos-sdk REQUIRED)
add_compile_options(-Wall -Wextra -Werror)

foreach(plugin greeting visitor doorman badge chaperone postbox)
  matrixos_add_plugin(${plugin} SOURCES ${plugin}.cpp)
endforeach()
set(GREETING_VERSION 1.0.0 CACHE STRING "what greeting says of itself")
target_compile_definitions(greeting PRIVATE GREETING_VERSION="${GREETING_VERSION}")
foreach(plugin abacus no-tea)
  matrixos_add_plugin(${plugin} SOURCES ${plugin}.c)
endforeach()
