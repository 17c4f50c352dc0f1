// Azurite's tables in a database are classes below sequelize's Model; that is all it asks at load time.
exports.Model = class {};
