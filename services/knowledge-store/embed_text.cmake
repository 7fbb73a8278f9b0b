# cmake -DFILE=… -DNAME=… -DOUT=… -P embed_text.cmake: a text file as a C array with its length.
file(READ ${FILE} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
set(text "#include <stddef.h>\nextern const char ${NAME}[];\nextern const size_t ${NAME}_len;\n")
string(APPEND text "const char ${NAME}[] = {${bytes}0};\nconst size_t ${NAME}_len = sizeof(${NAME}) - 1;\n")
file(WRITE ${OUT} "${text}")
