// What Azurite loads and, without telemetry and a database, never calls: package.json has the
// smallest old versions in its place, which an npm 9 understands too.
// Its tables in a database are classes below sequelize's Model; that is all it asks for.
const Module = require("module");

const unneeded = new Set(["applicationinsights", "mysql2", "sequelize", "tedious"]);
const load = Module._load;
Module._load = (request, ...rest) => (unneeded.has(request) ? { Model: class {} } : load(request, ...rest));
