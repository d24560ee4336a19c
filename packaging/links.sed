# Links of the tree's documents as they are where the package puts those: /usr/share/doc/matrixos.
s,](\(\.\./\)\{0\,1\}plugins/\([a-z-]*\)/README.md),](plugins/\2.md),g
s,](packaging/\([a-z]*\).md),](\1.md),g
s,](etc/matrixosd.ini),](/etc/matrixos/matrixosd.ini),g
s,](etc/matrixosd.xml),](examples/matrixosd.xml),g
s,](etc/examples/,](examples/,g
# In the package matrixos-dev.
s,](sdk/,](/usr/share/matrixos/sdk/,g
# What is not installed is named, not linked.
s,\[\([^]]*\)\](\(LAYOUT\|CONTRIBUTING\|packaging\|tests\|core\|dev\)[^)]*),\1,g
