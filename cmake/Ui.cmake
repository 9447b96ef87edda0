# The web UI (ui-static/): built by npm and Vite outside the source tree, compressed, and embedded in
# the library weft::ui_assets. Presets below one build/ folder share the result, and each step runs only
# when what it reads has changed: packages (npm ci, the one step that needs a network or npm's cache),
# bundle, embedding.
option(WEFT_UI "Build and embed the web UI (needs node and npm)" ON)

set(ui_source ${PROJECT_SOURCE_DIR}/ui-static)
set(ui_assets ${PROJECT_BINARY_DIR}/generated/ui/assets.cc)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/generated/ui)

if(WEFT_UI)
  find_program(WEFT_NODE NAMES node nodejs)
  find_program(WEFT_NPM NAMES npm)
  if(NOT WEFT_NODE OR NOT WEFT_NPM)
    message(FATAL_ERROR "the web UI needs node (18 or later) and npm (9 or later): ./run setup installs both; "
      "-DWEFT_UI=OFF builds weft without its UI")
  endif()
  execute_process(COMMAND ${WEFT_NODE} --version OUTPUT_VARIABLE node_version OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(node_version VERSION_LESS "v18" AND node_version MATCHES "^v([0-9]|1[0-7])\\.")
    message(FATAL_ERROR "the web UI needs node 18 or later, ${WEFT_NODE} is ${node_version}; -DWEFT_UI=OFF builds weft without its UI")
  endif()

  cmake_path(IS_PREFIX PROJECT_SOURCE_DIR ${PROJECT_BINARY_DIR} NORMALIZE ui_is_shared)
  if(ui_is_shared)
    cmake_path(GET PROJECT_BINARY_DIR PARENT_PATH ui_build)
    set(ui_build ${ui_build}/ui)
  else()
    set(ui_build ${PROJECT_BINARY_DIR}/ui)
  endif()

  set(ui_packages ${ui_source}/package.json ${ui_source}/package-lock.json ${ui_source}/.npmrc)
  add_custom_command(
    OUTPUT ${ui_build}/packages.stamp
    COMMAND ${CMAKE_COMMAND} -E make_directory ${ui_build}
    COMMAND ${CMAKE_COMMAND} -E copy ${ui_packages} ${ui_build}
    COMMAND ${CMAKE_COMMAND} -E chdir ${ui_build} ${WEFT_NPM} ci --prefer-offline --no-audit --no-fund --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch ${ui_build}/packages.stamp
    DEPENDS ${ui_packages}
    COMMENT "Installing the UI's packages (npm ci)"
    VERBATIM)

  file(GLOB_RECURSE ui_sources CONFIGURE_DEPENDS ${ui_source}/src/* ${ui_source}/public/*)
  list(APPEND ui_sources ${ui_source}/index.html ${ui_source}/tsconfig.json ${ui_source}/vite.config.ts)
  add_custom_command(
    OUTPUT ${ui_build}/bundle.stamp
    # Removed first, so that a file that was deleted is not built any more.
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${ui_build}/src ${ui_build}/public ${ui_build}/dist
    COMMAND ${CMAKE_COMMAND} -E copy_directory ${ui_source}/src ${ui_build}/src
    COMMAND ${CMAKE_COMMAND} -E copy_directory ${ui_source}/public ${ui_build}/public
    COMMAND ${CMAKE_COMMAND} -E copy ${ui_source}/index.html ${ui_source}/tsconfig.json ${ui_source}/vite.config.ts ${ui_build}
    COMMAND ${CMAKE_COMMAND} -E chdir ${ui_build} ${WEFT_NPM} run --silent build
    COMMAND ${CMAKE_COMMAND} -E touch ${ui_build}/bundle.stamp
    DEPENDS ${ui_build}/packages.stamp ${ui_sources}
    COMMENT "Building the UI (vite)"
    VERBATIM)
  add_custom_command(
    OUTPUT ${ui_assets}
    COMMAND ${WEFT_NODE} ${ui_source}/embed.mjs ${ui_build}/dist ${ui_assets}
    DEPENDS ${ui_build}/bundle.stamp ${ui_source}/embed.mjs
    COMMENT "Embedding the UI"
    VERBATIM)
else()
  file(WRITE ${ui_assets} "#include \"app/io/assets.h\"\nnamespace weft::app {\nstd::span<const Asset> assets() { return {}; }\n}\n")
endif()

add_library(weft_ui_assets STATIC ${ui_assets})
add_library(weft::ui_assets ALIAS weft_ui_assets)
target_compile_features(weft_ui_assets PUBLIC cxx_std_20)
target_include_directories(weft_ui_assets PRIVATE ${PROJECT_SOURCE_DIR})
